#!/bin/sh
# Makes the files that no pure-Rust encoder here can make: a second of the bundled speech as Ogg Vorbis and MP3.
# Needs flac, oggenc (vorbis-tools) and lame. `speech.bare.mp3` has no Xing tag, and so states no length.
set -eu
cd "$(dirname "$0")"
wav=$(mktemp --suffix .wav)
trap 'rm -f "$wav"' EXIT
flac --silent -f -d --until=16000 -o "$wav" ../../data/mini/audio/f01-s01.flac
oggenc --quiet --quality 1 --serial 1 -o speech.ogg "$wav"
lame --silent -b 64 "$wav" speech.mp3
lame --silent -b 24 -t "$wav" speech.bare.mp3
