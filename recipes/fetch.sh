# Sourced by start.sh: downloads of corpora.

# fetch URL MD5: downloads/FILE, continued where an earlier download stopped. MD5 is '-' where none is published: then the
# archive's own checksum is checked, and its SHA-256 is printed, so that two machines can be compared.
fetch() {
  local url=$1 md5=$2 file=downloads/${1##*/}
  [ ! -e "$file" ] || return 0
  mkdir -p downloads
  if ! has_md5 "$file.part" "$md5"; then
    say "fetch $url"
    if ! curl --fail --location --progress-bar --continue-at - --output "$file.part" "$url"; then
      echo "$0: $url: expected to fetch it, but curl failed (see above); give the corpus with --corpus DIR" >&2
      exit 1
    fi
    if ! is_whole "$file.part" "$md5"; then
      rm "$file.part"
      local expected="a file with MD5 $md5"
      [ "$md5" != - ] || expected="a whole archive"
      echo "$0: $url: expected $expected, found another; it was removed" >&2
      exit 1
    fi
  fi
  mv "$file.part" "$file"
}

is_whole() {
  if [ "$2" != - ]; then
    has_md5 "$1" "$2"
  else
    gzip --test --quiet < "$1" && say "SHA-256 $(sha256sum < "$1" | cut -d ' ' -f 1)"
  fi
}

has_md5() { [ -e "$1" ] && [ "$(md5sum < "$1")" = "$2  -" ]; }

# unpack NAME FILE...: unpacks archives of downloads/ into downloads/NAME, which appears only when complete.
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
