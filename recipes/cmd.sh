# Sourced by start.sh: $cmd [JOB=1:N] LOG COMMAND runs a command as one job or several. `here`, `slurm` and `parallel`, with
# options of jobs.sh behind them, stand for jobs.sh; Kaldi's run.pl, slurm.pl and queue.pl serve too.
cmd=${cmd:-here}
case $cmd in
  here | here\ * | slurm | slurm\ * | parallel | parallel\ *) cmd="$recipes/jobs.sh $cmd" ;;
  srun*)
    echo "$0: cmd: expected here, slurm, parallel or a script as Kaldi's run.pl (see recipes/jobs.sh --help), found '$cmd'" >&2
    exit 1
    ;;
esac

# here: whether jobs run on this machine, where threads serve better than several processes.
here() { [[ $cmd == "$recipes/jobs.sh here"* ]]; }
