#!/usr/bin/env bash
# dist_test.sh CONFIG CHECKPOINT PROCESSES [OPTIONS OF test.py]
# One process per GPU; without a GPU, that many processes on the CPU.
set -e

CONFIG=$1
CHECKPOINT=$2
PROCESSES=$3
NNODES=${NNODES:-1}
NODE_RANK=${NODE_RANK:-0}
PORT=${PORT:-29500}
MASTER_ADDR=${MASTER_ADDR:-127.0.0.1}

python "$(dirname "$0")/dist_run.py" \
    --nnodes="$NNODES" \
    --node_rank="$NODE_RANK" \
    --master_addr="$MASTER_ADDR" \
    --master_port="$PORT" \
    --nproc_per_node="$PROCESSES" \
    "$(dirname "$0")/test.py" "$CONFIG" "$CHECKPOINT" --launcher pytorch \
    "${@:4}"
