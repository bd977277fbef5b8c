#!/bin/sh
# One session on a lent machine: go on with a run for some seconds, then put its files where they are fetched from.
#
#   sh training/gpu_session.sh RECIPE RUN OUT SECONDS [OPTION...]
#
# RECIPE  a training recipe, RUN the folder that its "out" names
# OUT     where RUN is copied to: state.pt to resume from, the weights, log.csv, evaluations.csv
# OPTION  further options of pocketdet train, such as --workers 14
# A run that is in RUN already is resumed. In bfloat16 where the GPU computes in it.
set -eu
recipe=$1 run=$2 out=$3 seconds=$4
shift 4
resume=
[ ! -e "$run/state.pt" ] || resume=--resume
code=0
# SIGTERM ends a run with a checkpoint of its last step
timeout --signal TERM --kill-after 60 "$seconds" "${PYTHON:-python}" -m pocketdet train "$recipe" $resume "$@" || code=$?
if [ -d "$run" ]; then
    mkdir -p "$out"
    cp -r "$run" "$out/"
fi
case $code in
0) echo "the run has ended" ;;
124) echo "the time is up: fetch $out, and start the session again to go on" ;;
*) exit "$code" ;;
esac
