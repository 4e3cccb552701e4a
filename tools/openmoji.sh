#!/usr/bin/env bash
# Makes two folders of pictures with equal names from the OpenMoji package (CC BY-SA 4.0): drawings
# in colour and their black lines, each with train/ and test/, a folder for each group of signs.
#   tools/openmoji.sh FOLDER [PIXELS]      (64; needs npm and rsvg-convert, Debian: librsvg2-bin)
# Pictures that begin with the same character, as a sign in several skin tones, are all in one
# split: a tenth of the first characters are to test with.
set -euo pipefail
folder=${1:?usage: tools/openmoji.sh FOLDER [PIXELS]}
size=${2:-64}
version=15.1.0
for program in npm rsvg-convert; do
  command -v "$program" >/dev/null || { echo "openmoji.sh: $program is missing" >&2; exit 1; }
done

mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
package=$folder/package
if [ ! -f "$package/data/openmoji.csv" ]; then
  (cd "$folder" && npm pack --silent "openmoji@$version" >/dev/null)
  tar -xzf "$folder/openmoji-$version.tgz" -C "$folder" package/color/svg package/black/svg \
    package/data/openmoji.csv
fi

# The first columns are the character, its code in hexadecimal, and its group, which is the class.
tail -n +2 "$package/data/openmoji.csv" | while IFS=, read -r _ name group _; do
  [ -f "$package/color/svg/$name.svg" ] && [ -f "$package/black/svg/$name.svg" ] || continue
  hash=$(printf %s "${name%%-*}" | sha256sum)
  split=train
  [ $((16#${hash:0:2})) -lt 26 ] && split=test
  for kind in color black; do
    mkdir -p "$folder/$kind/$split/$group"
    echo "$package/$kind/svg/$name.svg" "$folder/$kind/$split/$group/$name.png"
  done
done | xargs -P "$(nproc)" -n 2 sh -c \
  'rsvg-convert --width '"$size"' --height '"$size"' --keep-aspect-ratio --background-color white "$0" --output "$1"'
for split in train test; do
  echo "$folder/color/$split: $(find "$folder/color/$split" -name '*.png' | wc -l) pictures; $folder/black/$split: $(find "$folder/black/$split" -name '*.png' | wc -l)"
done
