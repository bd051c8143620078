"""Makes a folder as transformers saves a model, with random weights, and its hidden states of recordings.
Needs transformers 5.24.0 and torch 2.11.0, soundfile.
Usage: ssl_golden.py KIND SHAPE FOLDER AUDIO...
       ssl_golden.py seconds FOLDER AUDIO...       (time of all forward passes, one thread, one utterance after the other)
KIND is hubert, wav2vec2 or wavlm; SHAPE base or large (of the real models), tiny_base or tiny_large. FOLDER gets config.json,
model.safetensors, preprocessor_config.json and NAME.npy [layers + 1, frames, hidden] of each recording.
"""

import json
import pathlib
import sys
import time

import numpy as np
import soundfile
import torch
import transformers

MODELS = {
    "hubert": (transformers.HubertModel, transformers.HubertConfig),
    "wav2vec2": (transformers.Wav2Vec2Model, transformers.Wav2Vec2Config),
    "wavlm": (transformers.WavLMModel, transformers.WavLMConfig),
}
LARGE = {"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True}
TINY = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 40,
    "conv_dim": [8] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "num_buckets": 32,
    "max_bucket_distance": 80,
}
SHAPES = {
    "base": {},
    "large": {**LARGE, "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096},
    "tiny_base": TINY,
    "tiny_large": {**TINY, **LARGE},
}


def waveform(path, normalise):
    samples, rate = soundfile.read(path, dtype="float32")
    assert rate == 16000, path
    extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=normalise)
    return extractor(samples, sampling_rate=16000, return_tensors="pt").input_values


def make(kind, shape, folder, paths):
    torch.manual_seed(0)
    model_of, config_of = MODELS[kind]
    model = model_of(config_of(**SHAPES[shape])).eval()
    with torch.no_grad():
        # As they begin, normalisations are the identity and would hide a missing one.
        for name, parameter in model.named_parameters():
            if "norm" in name or "gru_rel_pos_const" in name or name.endswith("bias"):
                parameter.add_(0.2 * torch.randn_like(parameter))
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    normalise = "large" in shape
    (folder / "preprocessor_config.json").write_text(json.dumps({"do_normalize": normalise, "sampling_rate": 16000}))
    for path in paths:
        with torch.inference_mode():
            found = model(waveform(path, normalise), output_hidden_states=True)
        # The last one as it leaves the model: of models with normalisation first, version 5 gives it without the last one.
        states = torch.cat([*found.hidden_states[:-1], found.last_hidden_state])
        np.save(folder / (pathlib.Path(path).stem + ".npy"), states.numpy())


def seconds(folder, paths):
    torch.set_num_threads(1)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    inputs = [waveform(path, False) for path in paths]
    with torch.inference_mode():
        model(inputs[0])
        start = time.perf_counter()
        for values in inputs:
            model(values)
    print(time.perf_counter() - start)


if __name__ == "__main__":
    if sys.argv[1] == "seconds":
        seconds(sys.argv[2], sys.argv[3:])
    else:
        make(sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3]), sys.argv[4:])
