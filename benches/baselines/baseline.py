"""One baseline of the benches: runs one round per line of its standard input and prints the round's seconds.

Usage: baseline.py NAME SAMPLES.f32 (16 kHz, full scale at 1)
       baseline.py augmented_of_flac FOLDER
       baseline.py files_to_ark WAV.SCP PROCESSES
       baseline.py module_to_ark FEATS.SCP MODULE THREADS
       baseline.py k_means FRAMES.f32 DIMS CLUSTERS STEPS
       baseline.py s_norm SIDES.ark COHORT.ark TRIALS TOP
       baseline.py infogan_steps|dann_steps STEPS
       baseline.py speech_steps mini|phones|hubert|ecapa f32|bf16 STEPS eager|compiled
It runs on one thread, module_to_ark on those that are named. Loading, imports and a warm-up round are not timed. Seconds of speech_steps are those of the processor.
"""

import multiprocessing
import os
import sys
import tempfile
import time

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np  # noqa: E402


def kaldi_native_fbank(samples):
    import kaldi_native_fbank as knf

    options = knf.FbankOptions()
    options.frame_opts.dither = 0.0
    options.mel_opts.num_bins = 80
    scaled = samples * 32768.0

    def work():
        fbank = knf.OnlineFbank(options)
        fbank.accept_waveform(16000, scaled)
        fbank.input_finished()
        return np.stack([fbank.get_frame(i) for i in range(fbank.num_frames_ready)])

    return work


def torchaudio(samples):
    import torch
    import torchaudio.compliance.kaldi as kaldi

    torch.set_num_threads(1)
    scaled = torch.from_numpy(samples * 32768.0)[None]
    return lambda: kaldi.fbank(scaled, num_mel_bins=80)


def whisper(samples):
    import torch
    from whisper.audio import log_mel_spectrogram

    torch.set_num_threads(1)
    tensor = torch.from_numpy(samples)
    return lambda: log_mel_spectrogram(tensor)


def librosa(samples):
    import librosa

    def work():
        mel = librosa.feature.melspectrogram(y=samples, sr=16000, n_fft=512, hop_length=160, n_mels=80)
        return librosa.power_to_db(mel)

    return work


def fbank_of_file(path):
    import soundfile
    import torch
    import torchaudio.compliance.kaldi as kaldi

    torch.set_num_threads(1)
    samples, _ = soundfile.read(path, dtype="float32")
    return kaldi.fbank(torch.from_numpy(samples * 32768.0)[None], num_mel_bins=80).numpy()


def augmented_of_flac(folder):
    import soundfile
    import torch
    import torchaudio.compliance.kaldi as kaldi
    import torchaudio.functional as functional
    from torchaudio.transforms import Resample

    torch.set_num_threads(1)

    def read(path):
        return torch.from_numpy(soundfile.read(path, dtype="float32")[0])

    with open(f"{folder}/data/wav.scp") as file:
        paths = [line.split(maxsplit=1)[1] for line in file.read().splitlines()]
    noises = [read(f"{folder}/noise/{place}.wav") for place in range(3)]
    room = read(f"{folder}/rirs/room.wav")
    # A resampler keeps its filter.
    speeds = [Resample(14400, 16000), None, Resample(17600, 16000)]
    draw = np.random.default_rng(0)

    def work():
        for path in paths:
            speech = read(path)
            speed = speeds[draw.integers(3)]
            speech = speed(speech) if speed else speech
            power = speech.square().mean()
            speech = functional.fftconvolve(speech, room)[20:][: len(speech)]
            speech = speech * (power / speech.square().mean()).sqrt()
            noise = noises[draw.integers(3)]
            start = draw.integers(len(noise) - len(speech))
            snr = torch.tensor(float(draw.choice([0, 5, 10, 15])))
            speech = functional.add_noise(speech, noise[start : start + len(speech)], snr)
            kaldi.fbank(speech[None] * 32768.0, num_mel_bins=80)

    return work


def files_to_ark(wav_scp, processes):
    import kaldi_native_io

    with open(wav_scp) as file:
        entries = [line.split(maxsplit=1) for line in file.read().splitlines()]
    pool = multiprocessing.Pool(int(processes))

    def work():
        with tempfile.TemporaryDirectory() as folder:
            paths = [path for _, path in entries]
            with kaldi_native_io.FloatMatrixWriter(f"ark:{folder}/feats.ark") as writer:
                for (key, _), feats in zip(entries, pool.imap(fbank_of_file, paths, chunksize=8)):
                    writer.write(key, feats)

    return work


def k_means(frames, dims, clusters, steps):
    import faiss

    faiss.omp_set_num_threads(1)
    frames = np.fromfile(frames, dtype="<f4").reshape(-1, int(dims))

    def work():
        # All frames in every step.
        found = faiss.Kmeans(frames.shape[1], int(clusters), niter=int(steps), max_points_per_centroid=len(frames))
        found.train(frames)

    return work


def s_norm(sides, cohort, trials, top):
    import kaldi_native_io

    top = int(top)

    def unit(ark):
        with kaldi_native_io.SequentialFloatVectorReader(f"ark:{ark}") as reader:
            vectors = {key: value.copy() for key, value in reader}
        matrix = np.stack(list(vectors.values()))
        return dict(zip(vectors, range(len(vectors)))), matrix / np.linalg.norm(matrix, axis=1, keepdims=True)

    def work():
        places, vectors = unit(sides)
        _, others = unit(cohort)
        with open(trials) as file:
            pairs = [line.split()[:2] for line in file]
        models, tests = (np.array([places[pair[side]] for pair in pairs]) for side in (0, 1))
        against = vectors @ others.T
        greatest = -np.partition(-against, top, axis=1)[:, :top]
        mean, deviation = greatest.mean(axis=1), greatest.std(axis=1)
        scores = (vectors @ vectors.T)[models, tests]
        return 0.5 * sum((scores - mean[side]) / deviation[side] for side in (models, tests))

    return work


def module_to_ark(scp, module, threads):
    import kaldi_native_io
    import torch

    torch.set_num_threads(int(threads))
    if threads == "1":
        os.sched_setaffinity(0, {0})
    module = torch.jit.load(module)

    def codes_of(corpus):
        codes, of_length = [None] * len(corpus), {}
        for place, feats in enumerate(corpus):
            of_length.setdefault(len(feats), []).append(place)
        for length, places in of_length.items():
            at_once = max(1, 8192 // length)
            for start in range(0, len(places), at_once):
                some = places[start : start + at_once]
                for place, found in zip(some, module(torch.from_numpy(np.stack([corpus[place] for place in some])))):
                    codes[place] = found.numpy()
        return codes

    def work():
        with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
            with kaldi_native_io.SequentialFloatMatrixReader(f"scp:{scp}") as reader:
                with kaldi_native_io.FloatMatrixWriter(f"ark:{folder}/codes.ark") as writer:
                    # All at once: among 512 few are of one length.
                    keys, feats = zip(*((key, feats.copy()) for key, feats in reader))
                    for key, codes in zip(keys, codes_of(feats)):
                        writer.write(key, codes)

    return work


def main():
    name, arguments = sys.argv[1], sys.argv[2:]
    if name.endswith(("_to_ark", "_of_flac")) or name in ("k_means", "s_norm"):
        work = globals()[name](*arguments)
    elif name.endswith("_steps"):
        import speech_training
        import torch
        import training

        torch.set_num_threads(1)
        work = getattr(speech_training if name == "speech_steps" else training, name)(*arguments)
    else:
        work = globals()[name](np.fromfile(arguments[0], dtype="<f4"))
    clock = time.process_time if name == "speech_steps" else time.perf_counter
    work()
    print("ready", flush=True)
    for _ in sys.stdin:
        start = clock()
        work()
        print(clock() - start, flush=True)


if __name__ == "__main__":
    main()
