# Sourced by start.sh: corpora that may be fetched.

# fetch URL MD5: downloads/FILE, taken up where an earlier fetch stopped. MD5 is '-' where none is published.
fetch() {
  local url=$1 md5=$2 file=downloads/${1##*/}
  [ ! -e "$file" ] || return 0
  mkdir -p downloads
  if ! has_md5 "$file.part" "$md5"; then
    say "fetch $url"
    if ! curl --fail --location --progress-bar --continue-at - --output "$file.part" "$url"; then
      echo "$0: $url: expected to fetch it, found no way (see above); give the corpus with --corpus DIR" >&2
      exit 1
    fi
    if [ "$md5" != - ] && ! has_md5 "$file.part" "$md5"; then
      rm "$file.part"
      echo "$0: $url: expected a file with MD5 $md5, found another; it was removed" >&2
      exit 1
    fi
  fi
  mv "$file.part" "$file"
}

has_md5() { [ -e "$1" ] && [ "$(md5sum < "$1")" = "$2  -" ]; }

# unpack NAME FILE...: archives of downloads/ to the folder downloads/NAME, which appears whole.
unpack() {
  local folder=downloads/$1 half=downloads/.$1.half file
  shift
  [ ! -d "$folder" ] || return 0
  rm -rf "$half"
  mkdir -p "$half"
  for file in "$@"; do
    say "unpack $file"
    case $file in
      *.zip) python3 -m zipfile -e "downloads/$file" "$half" ;;
      *) tar -xzf "downloads/$file" -C "$half" ;;
    esac
  done
  mv "$half" "$folder"
}
