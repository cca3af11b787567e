"""torchrun: starts the ranks of a node, and all of them again where one failed, as often as --max_restarts says."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--nnodes", type=int)
parser.add_argument("--nproc_per_node", type=int)
for name in ["backend", "endpoint", "id"]:
    parser.add_argument(f"--rdzv_{name}")
parser.add_argument("--max_restarts", type=int, default=0)
parser.add_argument("script")
parser.add_argument("rest", nargs=argparse.REMAINDER)
options = parser.parse_args()
node = int(os.environ["SLURM_NODEID"])
with open(Path(os.environ["STAND_IN"], f"torchrun-{node}"), "a") as log:
    log.write(json.dumps({**vars(options), "omp": os.environ.get("OMP_NUM_THREADS")}) + "\n")

for attempt in range(options.max_restarts + 1):
    ranks = [
        subprocess.Popen(
            [sys.executable, options.script, *options.rest],
            env={
                **os.environ,
                "RANK": str(node * options.nproc_per_node + i),
                "LOCAL_RANK": str(i),
                "WORLD_SIZE": str(options.nnodes * options.nproc_per_node),
                "TORCHELASTIC_RESTART_COUNT": str(attempt),
            },
        )
        for i in range(options.nproc_per_node)
    ]
    code = max(rank.wait() for rank in ranks)
    if code == 0:
        break
sys.exit(code)
