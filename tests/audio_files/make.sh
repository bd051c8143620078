#!/bin/sh
# Makes these files from the bundled speech with the encoders that users have: sox, ffmpeg, flac, oggenc
# (vorbis-tools), opusenc (opus-tools) and lame. A second of speech as Ogg Vorbis and MP3; 50 ms in everything that
# keeps every sample; a quarter of a second in what does not, and in what is not read.
# `speech.bare.mp3` has no Xing tag, and so states no length.
set -eu
cd "$(dirname "$0")"
temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT
wav=$temp/speech.wav
flac --silent -f -d --until=16000 -o "$wav" ../../data/mini/audio/f01-s01.flac
oggenc --quiet --quality 1 --serial 1 -o speech.ogg "$wav"
lame --silent -b 64 "$wav" speech.mp3
lame --silent -b 24 -t "$wav" speech.bare.mp3

exact=$temp/exact.wav
sox -D "$wav" "$exact" trim 6000s 800s vol 8
ffmpeg='ffmpeg -hide_banner -loglevel error -y -bitexact'
s() { sox -D "$exact" "$@"; }
f() { $ffmpeg -i "$exact" -map_metadata -1 "$@"; }

# Whatever holds 16-bit samples whole.
s pcm16.wav
s -b 24 extensible24.wav
s -b 32 pcm32.wav
s -e floating-point -b 32 float32.wav
s -e floating-point -b 64 float64.wav
s -B rifx.wav
f -rf64 always -c:a pcm_s16le rf64.wav
sox -D "$exact" -t raw - | sox -t raw -e signed-integer -b 16 -c 1 -r 16000 - -t wav - | cat >sox_stream.wav
f -c:a pcm_s16le -f wav - | cat >ffmpeg_stream.wav
s -L little.sph
s -B big.sph
s plain.aiff
f -c:a pcm_s16le sowt.aifc.aiff
f -c:a pcm_f32be float32.aiff
f -c:a pcm_f64be float64.aiff
s -b 24 24.aiff
s pcm16.au
s -b 24 24.au
f -c:a pcm_f32be float32.au
flac --silent -f --no-padding -o plain.flac "$exact"
sox -D "$exact" -t raw - | flac --silent --no-padding --force-raw-format --endian=little --sign=signed --channels=1 \
    --bps=16 --sample-rate=16000 -c - | cat >stream.flac
flac --silent -f --no-padding --ogg --serial-number=1 -o flac.ogg "$exact"
f -c:a alac alac.m4a
f -c:a pcm_s16le pcm16.caf
f -c:a alac alac.caf
sox -D -M "$exact" -v -1 "$exact" stereo.wav
sox -D -M "$exact" -v -1 "$exact" stereo.flac
sox -D -M "$exact" -v -1 "$exact" -B stereo.sph

# Eight bits a sample: as sox and ffmpeg decode them again, in `*.expected.wav`.
s -b 8 pcm8.wav
s -e a-law a_law.wav
s -e mu-law mu_law.wav
s -e mu-law mu_law.sph
s -e mu-law mu_law.au
f -c:a pcm_mulaw mu_law.aiff
f -c:a pcm_alaw a_law.aiff
for kind in a_law mu_law pcm8; do sox -D $kind.wav -e signed-integer -b 16 $kind.expected.wav; done
for kind in a_law mu_law; do $ffmpeg -i $kind.aiff -c:a pcm_s16le $kind.aiff.expected.wav; done

# AAC and Opus, and what is not read but named.
quarter=$temp/quarter.wav
sox -D "$wav" "$quarter" trim 6000s 4000s vol 4
q() { $ffmpeg -i "$quarter" -map_metadata -1 "$@"; }
cp "$quarter" quarter.wav
q -c:a aac -b:a 32k aac.m4a
q -c:a aac -b:a 32k aac.adts
q -c:a adpcm_ms adpcm_ms.wav
q -c:a adpcm_ima_wav adpcm_ima.wav
q -c:a libgsm_ms -ar 8000 gsm.wav
q -c:a wmav2 -b:a 32k wma.wma
q -c:a libopus -b:a 16k opus.webm
q -c:a libspeex speex.ogg
q -c:a libmp3lame -b:a 32k mp3_inside.wav
opusenc --quiet --serial 1 --bitrate 16 "$quarter" opus.ogg

# Half a second of silence but for a burst from sample 4001, as `burst()` of src/io/audio/tests.rs has it, in whatever
# may begin with an encoder's delay; the second Ogg stream of a chain.
burst=$temp/burst.wav
python3 - "$burst" <<'END'
import math, sys, wave

samples = [0] * 8000
for i in range(512):
    window = math.sin(math.pi * i / 512) ** 2
    samples[4001 + i] = round(16000 * window * math.sin(2 * math.pi * (0.02 + 0.0001 * i) * i))
with wave.open(sys.argv[1], "wb") as wav:
    wav.setparams((1, 2, 16000, 0, "NONE", ""))
    wav.writeframes(b"".join(s.to_bytes(2, "little", signed=True) for s in samples))
END
b() { $ffmpeg -i "$burst" -map_metadata -1 "$@"; }
lame --silent -b 48 "$burst" burst.mp3
lame --silent -b 48 -t "$burst" burst.bare.mp3
oggenc --quiet --quality 1 --serial 2 -o burst.ogg "$burst"
b -c:a aac -b:a 32k burst.m4a
b -c:a aac -b:a 32k burst.adts
