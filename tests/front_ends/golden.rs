//! Front-ends beside golden files of torchaudio and Whisper, which `tests/oracles/torch_golden.py` makes; it says how
//! to run it again.
