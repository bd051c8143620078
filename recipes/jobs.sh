#!/usr/bin/env bash
# Runs a command as one job, or as an array of jobs, in the manner of Kaldi's run.pl and slurm.pl. Waits for all of them. A job
# that fails is named with the end of its log, and the exit code is 1; the other jobs are not stopped.
#
# jobs.sh here|slurm|parallel [options] [JOB=1:N] LOG COMMAND [ARGUMENT...]
#   --mem SIZE         memory of a job, as 4G
#   --num-threads N    cores of a job (1)
#   --gpu N            GPUs of a job (0)
#   --max-jobs-run N   jobs at the same time: of `here` and `parallel` as many as there are cores, of `slurm` all
#
# With JOB=1:N, the letters JOB in LOG and in the arguments become the number of the job. COMMAND runs without a shell.
#   here      on this machine; a single job writes to the terminal instead of LOG
#   slurm     as a job array of sbatch, which also reads its own SBATCH_PARTITION, SBATCH_ACCOUNT and so on
#   parallel  by GNU parallel, on the machines of the file $machines (lines for --sshloginfile), else on this one
set -euo pipefail

# refuse PLACE EXPECTED FOUND
refuse() {
  echo "jobs.sh: $1: expected $2, found $3" >&2
  exit 2
}

# as_log LOG COMMAND...: runs a job with its output in LOG, and hands on signals.
as_log() {
  local log=$1 child code=0
  shift
  mkdir -p "$(dirname "$log")"
  {
    printf '#'
    printf ' %q' "$@"
    printf '\n# Started at %s on %s\n' "$(date)" "$(hostname)"
  } > "$log"
  SECONDS=0
  "$@" >> "$log" 2>&1 < /dev/null &
  child=$!
  trap 'kill -TERM "$child" 2> /dev/null || true' INT TERM
  wait "$child" || code=$?
  # A signal has ended the first wait, not yet the command.
  if kill -0 "$child" 2> /dev/null; then wait "$child" || code=$?; fi
  # On a line of its own, whatever the command printed last.
  [ -z "$(tail -c 1 "$log")" ] || echo >> "$log"
  echo "# Ended (code $code) at $(date), elapsed time $SECONDS seconds" >> "$log"
  return $code
}

if [ "${1-}" = --as-log ]; then
  shift
  as_log "$@"
  exit
fi

form=${1-}
case $form in
  here | slurm | parallel) shift ;;
  --help | -h | "")
    sed -n '2,/^[^#]/{s/^# \{0,1\}//p}' "$0"
    exit 0
    ;;
  *) refuse "$form" "here, slurm or parallel" "another" ;;
esac
mem= num_threads=1 gpu=0 max_jobs_run=
while [[ ${1-} == --* ]]; do
  case $1 in
    --mem | --num-threads | --gpu | --max-jobs-run)
      [ $# -ge 2 ] || refuse "$1" "a value" none
      name=${1#--}
      printf -v "${name//-/_}" %s "$2"
      shift 2
      ;;
    *) refuse "$1" "an option of jobs.sh (see --help)" "another" ;;
  esac
done
[[ $gpu =~ ^(0|[1-9][0-9]*)$ ]] || refuse --gpu "a number" "'$gpu'"
[[ $num_threads =~ ^[1-9][0-9]*$ ]] || refuse --num-threads "a number from 1" "'$num_threads'"
[[ ${max_jobs_run:-1} =~ ^[1-9][0-9]*$ ]] || refuse --max-jobs-run "a number from 1" "'$max_jobs_run'"
[[ ${mem:-1} =~ ^[1-9][0-9]*[KMGT]?$ ]] || refuse --mem "a size as 4G" "'$mem'"
first=1 last=
if [[ ${1-} == JOB=* ]]; then
  [[ $1 =~ ^JOB=([0-9]+):([0-9]+)$ ]] || refuse "$1" "JOB=FIRST:LAST" "'$1'"
  first=${BASH_REMATCH[1]} last=${BASH_REMATCH[2]}
  [ "$first" -le "$last" ] || refuse "$1" "a first job before the last" "'$1'"
  shift
fi
[ $# -ge 2 ] || refuse jobs.sh "LOG COMMAND" "'$*'"
log=$1
shift
[ -z "$last" ] || [[ $log == *JOB* ]] || refuse "$log" "JOB in the log's name of several jobs" none

if [ "$form" = here ] && [ -z "$last" ]; then exec "$@"; fi
# A single job has no number to put in.
word=JOB
[ -n "$last" ] || word=
last=${last:-$first}
log_of() { if [ -n "$word" ]; then echo "${log//JOB/$1}"; else echo "$log"; fi; }
# ended: whether all logs have their ends.
ended() {
  local job
  for job in $(seq "$first" "$last"); do
    tail -n 1 "$(log_of "$job")" 2> /dev/null | grep -q '^# Ended' || return 1
  done
}
mkdir -p "$(dirname "$log")"
for job in $(seq "$first" "$last"); do rm -f "$(log_of "$job")"; done

# The jobs as a script that gets a number.
script=$(mktemp "$(dirname "$log")/.jobs.XXXXXX")
trap 'rm -f "$script"' EXIT
{
  echo '#!/usr/bin/env bash'
  printf 'job=$1; cd %q; set --' "$PWD"
  printf ' %q' "$log" "$@"
  [ -z "$word" ] || printf '\nset -- "${@//JOB/$job}"'
  printf '\nexec %q %q --as-log "$@"\n' "$BASH" "$(realpath "$0")"
} > "$script"

cores=$(($(nproc) / (num_threads > 0 ? num_threads : 1)))
case $form in
  here)
    most=${max_jobs_run:-$((cores > 0 ? cores : 1))}
    # shellcheck disable=SC2046 # Several numbers.
    trap 'kill -TERM $(jobs -rp) 2> /dev/null || true; wait; exit 143' INT TERM
    for job in $(seq "$first" "$last"); do
      while [ "$(jobs -rp | wc -l)" -ge "$most" ]; do wait -n || true; done
      "$BASH" "$script" "$job" &
    done
    wait
    ;;
  parallel)
    machines=${machines:+--sshloginfile $machines}
    # shellcheck disable=SC2086 # Two words or none.
    parallel --will-cite $machines --jobs "${max_jobs_run:-$((cores > 0 ? cores : 1))}" "$BASH" "$script" ::: \
      $(seq "$first" "$last") < /dev/null || true
    ;;
  slurm)
    options=(--job-name "$(basename "${log%%.*}")" --cpus-per-task "$num_threads" --output /dev/null)
    [ -z "$mem" ] || options+=(--mem "$mem")
    [ "$gpu" -eq 0 ] || options+=(--gres "gpu:$gpu")
    options+=(--array "$first-$last${max_jobs_run:+%$max_jobs_run}")
    wrap=$(printf '%q %q $SLURM_ARRAY_TASK_ID' "$BASH" "$(realpath "$script")")
    number=$(sbatch --parsable "${options[@]}" --wrap "$wrap")
    number=${number%%;*}
    trap 'scancel "$number"; rm -f "$script"; exit 143' INT TERM
    # An error of squeue is a controller that does not answer, or a job that it has forgotten: then the logs tell.
    errors=0
    while [ $errors -lt 300 ] && ! ended; do
      if waiting=$(squeue --noheader --jobs "$number" 2> /dev/null); then
        errors=0
        [ -n "$waiting" ] || break
      else
        errors=$((errors + 1))
      fi
      sleep 2
    done
    # Files of other machines may come late.
    for job in $(seq "$first" "$last"); do
      for _ in 1 2 3 4 5; do
        ! tail -n 1 "$(log_of "$job")" 2> /dev/null | grep -q '^# Ended' || break
        sleep 1
      done
    done
    ;;
esac

failed=()
for job in $(seq "$first" "$last"); do
  tail -n 1 "$(log_of "$job")" 2> /dev/null | grep -q '^# Ended (code 0)' || failed+=("$job")
done
[ ${#failed[@]} -gt 0 ] || exit 0
bad=$(log_of "${failed[0]}")
echo "jobs.sh: ${#failed[@]} of $((last - first + 1)) jobs failed (${failed[*]}); the end of $bad:" >&2
if [ -e "$bad" ]; then tail -n 5 "$bad" | sed 's/^/  /' >&2; else echo "  (it was not written)" >&2; fi
exit 1
