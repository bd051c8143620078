"""Reads an experiment's event files with TensorBoard's own reader.

tensorboard_events.py EXP OUT.json writes {tag: [[step, value], ...]}.
"""

import json
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

experiment, out = sys.argv[1:]
events = EventAccumulator(experiment, size_guidance={"scalars": 0})
events.Reload()
scalars = {
    tag: [[event.step, event.value] for event in events.Scalars(tag)]
    for tag in events.Tags()["scalars"]
}
with open(out, "w") as file:
    json.dump(scalars, file)
