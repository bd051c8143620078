# Sourced: sets a shell variable from every `--name value`. Only variables that the recipe has set before are options. A
# variable whose default is true or false takes only these values. --help prints the first comment of the files in $help_of.
while [ $# -gt 0 ]; do
  case $1 in
    --help | -h)
      for file in $help_of; do sed -n '2,/^[^#]/{s/^# \{0,1\}//p}' "$file"; done
      exit 0
      ;;
    --*)
      option=${1#--}
      option=${option//-/_}
      if [[ ! $option =~ ^[a-z][a-z0-9_]*$ ]] || [ -z "${!option+set}" ]; then
        echo "$0: $1: expected an option of this recipe (see --help), found another" >&2
        exit 1
      fi
      if [ $# -lt 2 ]; then
        echo "$0: $1: expected a value, found none" >&2
        exit 1
      fi
      case ${!option} in
        true | false)
          if [ "$2" != true ] && [ "$2" != false ]; then
            echo "$0: $1: expected true or false, found $2" >&2
            exit 1
          fi
          ;;
      esac
      printf -v "$option" '%s' "$2"
      shift 2
      ;;
    *)
      echo "$0: expected '--name value' options, found $1" >&2
      exit 1
      ;;
  esac
done
