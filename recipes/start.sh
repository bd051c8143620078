# Sourced first by every run.sh, from its own folder: options, `unbraid` on the path, the shared stages.
#
# Options of every recipe:
#   --stage N          first stage: 0 prepare, 1 features, 2 train, 3 extract, 4 probe and score, 5 results (0)
#   --stop-stage N     last stage (5)
#   --nj N             threads of the front-end (2)
#   --confs LIST       configurations of conf/ (default, unless the recipe names another)
#   --seeds LIST       seeds per configuration (0)
#   --init CONF        begin from the weights of that configuration's run of the same seed
#   --set LIST         "KEY=VALUE ...": overrides keys of the configuration; the run's name includes them
#   --probe-seeds N    seeds per probe
#   --quick BOOL       a few steps only, to check that everything works (false)
recipes=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
stage=0
stop_stage=5
nj=2
confs=${confs:-default}
seeds=0
init=
set=
probe_seeds=${probe_seeds:-1}
quick=false
help_of="run.sh $recipes/start.sh"
. "$recipes/parse_options.sh"
. "$recipes/path.sh"
. "$recipes/cmd.sh"
. "$recipes/fetch.sh"
. "$recipes/stages.sh"
