"""Makes tests/golden/speechbrain_scores.json: trials scored by speechbrain's own EER and minDCF.

Made with speechbrain 1.1.2 and torch 2.11.0: python tests/references/speechbrain_scores.py > tests/golden/...
A golden file, because both take gigabytes; `tests/score.rs` reads it without Python. speechbrain's minDCF is
the bare cost, ours is divided by that of the better constant answer.
"""

import json
import sys

import torch
from speechbrain.utils.metric_stats import EER, minDCF

#        name, seed, targets, nontargets, distance of their means, decimals
CASES = [
    ("overlapping", 1, 60, 240, 1.5, 6),
    ("ties", 2, 80, 120, 1.0, 1),
    ("nearly apart", 3, 50, 150, 4.0, 6),
    ("few", 4, 5, 7, 1.0, 3),
]


def case(name, seed, targets, nontargets, distance, decimals):
    generator = torch.Generator().manual_seed(seed)
    draw = lambda n, mean: (torch.randn(n, generator=generator) * 0.15 + mean).clamp(-0.95, 0.95)
    positive = draw(targets, 0.15 * distance).double().round(decimals=decimals)
    negative = draw(nontargets, 0.0).double().round(decimals=decimals)
    return {
        "name": name,
        "seed": seed,
        "targets": positive.tolist(),
        "nontargets": negative.tolist(),
        "eer": EER(positive, negative)[0],
        "min_dcf_01": minDCF(positive, negative, p_target=0.01)[0],
        "min_dcf_05": minDCF(positive, negative, p_target=0.05)[0],
    }


json.dump([case(*arguments) for arguments in CASES], sys.stdout, indent=1)
print()
