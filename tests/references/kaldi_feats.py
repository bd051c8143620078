"""Filter banks and cepstra by kaldi-native-fbank, for tests/front_ends/kaldi.rs.

Usage: kaldi_feats.py OPTIONS.json SAMPLES.f32 FEATURES.f32
OPTIONS are those of unbraid, with their kind. SAMPLES are little-endian f32 with full scale 1; FEATURES are
[frames, columns], the number of columns being known to the caller.
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
ENERGY = ["use_energy", "energy_floor", "raw_energy", "htk_compat"]
OWN = {
    "fbank": (knf.FbankOptions, knf.OnlineFbank, ENERGY + ["use_log_fbank", "use_power"]),
    "mfcc": (knf.MfccOptions, knf.OnlineMfcc, ENERGY + ["num_ceps", "cepstral_lifter"]),
}
# What it does not have; these values mean that there is nothing to do.
ABSENT = {"seed": 0, "subtract_mean": False, "vtln_low": 100.0, "vtln_high": -500.0, "vtln_warp": 1.0, "allow_empty_filters": False}


def main():
    options_path, samples_path, feats_path = sys.argv[1:]
    with open(options_path) as file:
        given = json.load(file)
    make_options, online, own = OWN[given.pop("kind")]
    scale = given.pop("full_scale")
    options = make_options()
    for name, value in given.items():
        if name in FRAME:
            setattr(options.frame_opts, FRAME[name], value)
        elif name in MEL:
            setattr(options.mel_opts, MEL[name], value)
        elif name in own:
            setattr(options, name, value)
        elif ABSENT.get(name) != value:
            sys.exit(f"no option {name} = {value}")
    samples = np.fromfile(samples_path, dtype="<f4") * scale
    computer = online(options)
    computer.accept_waveform(given["sample_frequency"], samples.tolist())
    computer.input_finished()
    frames = [computer.get_frame(i) for i in range(computer.num_frames_ready)]
    np.asarray(frames, dtype="<f4").tofile(feats_path)


main()
