#!/usr/bin/env bash
# Speaks what the door says (signals.voice) into WAV files: config/voice/LANGUAGE/SIGNAL.wav.
#
#   tools/voice.sh              needs Debian's espeak-ng and sox
#
# They are in the repository, so that neither a door nor a test needs either. Record your own if
# you like a person's voice better: signals.voice.folder names a folder of files of these names.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() {
    local language=$1 voice=$2 signal=$3 words=$4
    local file=config/voice/$language/$signal.wav
    mkdir -p "${file%/*}"
    # No silence at either end: whoever is asked has some seconds, and a prompt takes of them.
    espeak-ng -v "$voice" -s 160 --stdout "$words" |
        sox -q -t wav - -r 16000 -b 16 -c 1 "$file" silence 1 0.02 0.1% reverse silence 1 0.02 0.1% reverse norm -1
}

en() { say en en-gb "$@"; }
de() { say de de "$@"; }

en ask_front "Look here."
en ask_left "Turn left."
en ask_right "Turn right."
en granted "Welcome."
en denied "No entry."

de ask_front "Hierher schauen."
de ask_left "Nach links drehen."
de ask_right "Nach rechts drehen."
de granted "Willkommen."
de denied "Kein Zutritt."
