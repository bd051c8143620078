# The launcher of jobs: empty runs them here; "srun --gres=gpu:1" runs them under Slurm.
cmd=${cmd:-}
