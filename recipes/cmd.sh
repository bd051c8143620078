# How jobs are started: nothing runs them here; "srun --gres=gpu:1" runs them under Slurm.
cmd=${cmd:-}
