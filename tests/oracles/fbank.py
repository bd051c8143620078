"""Filter bank features by kaldi-native-fbank, for tests/fbank_oracle.rs.

Usage: fbank.py OPTIONS.json SAMPLES.f32 FEATURES.f32
SAMPLES are little-endian f32 with full scale 1; FEATURES are [frames, columns] on Kaldi's 16-bit scale, the
number of columns being known to the caller.
"""

import json
import sys

import kaldi_native_fbank as knf
import numpy as np

FRAME = {
    "sample_frequency": "samp_freq",
    "frame_length": "frame_length_ms",
    "frame_shift": "frame_shift_ms",
    "dither": "dither",
    "preemphasis_coefficient": "preemph_coeff",
    "remove_dc_offset": "remove_dc_offset",
    "window_type": "window_type",
    "blackman_coeff": "blackman_coeff",
    "round_to_power_of_two": "round_to_power_of_two",
    "snip_edges": "snip_edges",
}
MEL = {"num_mel_bins": "num_bins", "low_freq": "low_freq", "high_freq": "high_freq"}
FBANK = ["use_energy", "energy_floor", "raw_energy", "htk_compat", "use_log_fbank", "use_power"]


def main():
    options_path, samples_path, feats_path = sys.argv[1:]
    with open(options_path) as file:
        given = json.load(file)
    given.pop("seed", None)
    options = knf.FbankOptions()
    for name, value in given.items():
        if name in FRAME:
            setattr(options.frame_opts, FRAME[name], value)
        elif name in MEL:
            setattr(options.mel_opts, MEL[name], value)
        elif name in FBANK:
            setattr(options, name, value)
        else:
            sys.exit(f"unknown option {name}")
    samples = np.fromfile(samples_path, dtype="<f4") * 32768.0
    fbank = knf.OnlineFbank(options)
    fbank.accept_waveform(given["sample_frequency"], samples.tolist())
    fbank.input_finished()
    frames = [fbank.get_frame(i) for i in range(fbank.num_frames_ready)]
    np.asarray(frames, dtype="<f4").tofile(feats_path)


main()
