#!/bin/sh
# SeaTunnel's seatunnel.sh, answered by Headrace: see "headrace script" in the documentation.
# The `headrace` beside this file is taken, else the one on PATH. SEATUNNEL_HOME/config is read where it is there.
here=$(dirname "$(readlink -f "$0")")
SEATUNNEL_HOME=${SEATUNNEL_HOME:-$(dirname "$here")} PATH="$here:$PATH"
export SEATUNNEL_HOME PATH
exec headrace script seatunnel.sh "$@"
