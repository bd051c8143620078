#!/usr/bin/env bash
# A grid over keys of a recipe's configurations. Each cell is trained, extracted and probed by the recipe in a folder of its
# own. The results of all cells go to one table and one picture. A stopped sweep is continued by the same command: finished
# cells are kept, unfinished ones are resumed.
#
# recipes/sweep.sh RECIPE --set "KEY=V1,V2,..." [options] [-- options of the recipe]
#   --set LIST         "KEY=V1,V2,... KEY=...": the grid; curves follow the first key, whose values are numbers
#   --confs LIST       configurations of the grid (gradient_reversal alternating)
#   --points LIST      configurations outside the grid, single points of the picture (none)
#   --seeds LIST       seeds per cell (0)
#   --jobs N           cells that run at the same time (1)
#   --name NAME        the table is exp/NAME.tsv, the picture exp/NAME_frontier.svg (sweep)
#   --picture BOOL     whether to draw the picture, which needs a recipe with a content probe (true)
#   --quick BOOL       a few steps only, to check that everything works (false)
#
# recipes/sweep.sh fsdd --set method.adversaries.0.lambda.weight=0.03,0.1,0.3,1 --points "autoencoder constraint" \
#   --seeds "0 1 2" --jobs 2 -- --corpus DIR --probe-seeds 1
#
set -euo pipefail
recipes=$(cd "$(dirname "$0")" && pwd)
called_from=$PWD
set=
confs="gradient_reversal alternating"
points=
seeds=0
jobs=1
name=sweep
picture=true
quick=false
help_of=$recipes/sweep.sh
case ${1-} in
  --help | -h | "") set -- --help ;;
  *)
    recipe=$1
    shift
    ;;
esac
own=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
  own+=("$1")
  shift
done
[ $# -eq 0 ] || shift
pass=("$@")
set -- "${own[@]}"
. "$recipes/parse_options.sh"
if [ ! -x "$recipes/$recipe/run.sh" ]; then
  echo "$0: expected a recipe, found '$recipe'" >&2
  exit 1
fi
. "$recipes/path.sh"
cd "$recipes/$recipe"
stage=2 probe_seeds=1
. "$recipes/stages.sh"

# refuse PLACE EXPECTED FOUND
refuse() {
  echo "$0: $1: expected $2, found $3" >&2
  exit 1
}

[[ $jobs =~ ^[1-9][0-9]*$ ]] || refuse "--jobs" "a number from 1" "'$jobs'"
[ -n "$set" ] || refuse "--set" "'KEY=V1,V2,...'" "none"
for entry in $set; do
  [[ $entry =~ ^[a-z0-9_.]+=[^,]+(,[^,]+)*$ ]] || refuse "--set" "'KEY=V1,V2,...'" "'$entry'"
done
for conf in $confs $points; do
  [ -e "conf/$conf.toml" ] || refuse "--confs, --points" "configurations of $recipe/conf" "'$conf'"
done

# grid LIST: one line per combination, 'KEY=VALUE KEY=VALUE'.
grid() {
  local lines=("") next entry line value
  for entry in $1; do
    next=()
    for line in "${lines[@]}"; do
      for value in $(tr , ' ' <<< "${entry#*=}"); do next+=("$line${line:+ }${entry%%=*}=$value"); done
    done
    lines=("${next[@]}")
  done
  printf '%s\n' "${lines[@]}"
}

run_recipe() { (cd "$called_from" && exec "$recipes/$recipe/run.sh" --quick "$quick" "${pass[@]}" "$@"); }

# run_cell CONF SETTINGS SEED
run_cell() {
  local exp log as child
  exp=$out/$(named "$1" "$2")_$3
  log=$out/log/${exp##*/}.log
  # A cell that was finished under other options runs again; training refuses what it cannot resume.
  as="$(unbraid config show --conf "conf/$1.toml" | cksum) $2 ${pass[*]}"
  # The cell's commands hold the lock too: this waits for what a killed sweep left running.
  exec 9>> "$log.lock"
  flock 9
  if [ "$(cat "$exp/done" 2> /dev/null)" = "$as" ]; then
    say "already done: $exp"
    return 0
  fi
  say "cell $exp"
  setsid "$BASH" -c 'cd "$1" && shift && exec "$@"' cell "$called_from" "$recipes/$recipe/run.sh" --quick "$quick" \
    "${pass[@]}" --stage 2 --stop-stage 4 --confs "$1" --set "$2" --seeds "$3" > "$log" 2>&1 < /dev/null &
  child=$!
  trap 'kill -TERM -- "-$child" 2> /dev/null; wait "$child"; exit 143' INT TERM
  if ! wait "$child"; then
    echo "$0: $exp: expected the cell to succeed, found '$(tail -n 1 "$log")' ($PWD/$log)" >&2
    return 1
  fi
  echo "$as" > "$exp/done.half"
  mv "$exp/done.half" "$exp/done"
}

# worker N: every jobs-th cell; a failed cell does not stop the others.
worker() {
  local index=0 bad=0 conf settings seed
  while IFS='|' read -r conf settings seed; do
    if [ $((index++ % jobs)) = "$1" ]; then (run_cell "$conf" "$settings" "$seed") & wait $! || bad=1; fi
  done <<< "$cells"
  return $bad
}

[ -e data/ready ] || run_recipe --stage 0 --stop-stage 1
run_recipe --stage 4 --stop-stage 4 --confs ""
mkdir -p "$out/log"
cells=$(
  for seed in $seeds; do
    for conf in $points; do echo "$conf||$seed"; done
    for conf in $confs; do grid "$set" | while read -r line; do echo "$conf|$line|$seed"; done; done
  done
)
workers=()
for number in $(seq 0 $((jobs - 1))); do
  (
    trap 'kill -TERM $(jobs -p) 2> /dev/null; wait; exit 143' INT TERM
    worker "$number"
  ) &
  workers+=($!)
done
trap 'kill -TERM "${workers[@]}" 2> /dev/null; wait; echo "$0: stopped; the same command continues it" >&2; exit 143' INT TERM
bad=0
for worker in "${workers[@]}"; do wait "$worker" || bad=1; done
[ $bad = 0 ] || exit 1

runs=("log-mel=$out/log-mel_0")
drawn=("log-mel=$(files_of "$out/log-mel_0")")
for conf in $points; do
  runs+=("$(runs_of "$conf" "" .)")
  drawn+=("$(probes_of "$conf" "")")
done
first=${set%% *}
for conf in $confs; do
  while read -r line; do
    runs+=("$(runs_of "$conf" "$line" .)")
    value=${line%% *}
    rest=${line#"$value"}
    curve=$(named "$conf" "$rest")
    probes=$(probes_of "$conf" "$line")
    drawn+=("${curve//=/ }@${value#*=}=${probes#*=}")
  done < <(grid "$set")
done
unbraid eval results "${runs[@]}" --out "$out/$name"
say "table: $PWD/$out/$name.{tsv,md,json}"
if [ "$picture" = true ]; then
  echo
  unbraid eval frontier --parameter "${first%%=*}" --out "$out/${name}_frontier" "${drawn[@]}"
  say "picture: $PWD/$out/${name}_frontier.svg"
fi
