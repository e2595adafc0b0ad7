#!/usr/bin/env bash
# A Slurm of one machine, to try out what runs on a cluster: controller, node and authentication, all of it in one folder.
#   scripts/slurm.sh install       install Debian's slurm-wlm and munge with apt-get (as root or through sudo)
#   scripts/slurm.sh start DIR     start it with configuration, state and logs in DIR; prints what to export, for
#                                  eval "$(scripts/slurm.sh start DIR)"
#   scripts/slurm.sh status DIR    say whether it runs, with its partitions and jobs
#   scripts/slurm.sh stop DIR      cancel its jobs and end it; DIR stays, for its logs
# Works as any user (whose jobs alone it then runs), without systemd and without cgroups. Limits of memory are counted
# and not enforced. Jobs of the partition `urgent` take the place of jobs of `main`, which are queued again.
#   GPUS=2                         pretend that the node has this many GPUs (default: those in /dev/nvidia*)
set -euo pipefail

say() { echo "slurm: $*" >&2; }
fail() { echo "error: $*" >&2; exit 1; }
usage() { sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; }

export PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin # where Debian keeps daemons, which not every user has on PATH
programs=(munged slurmctld slurmd sbatch srun scancel sinfo squeue)
installed() { for program in "${programs[@]}"; do command -v "$program" >/dev/null || return 1; done; }

# --- install -----------------------------------------------------------------------------------------------------
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

install_slurm() {
  local quiet=(env DEBIAN_FRONTEND=noninteractive apt-get -y -q -o DPkg::Lock::Timeout=300)
  if installed; then say "installed already: $(sinfo --version)"; return; fi
  command -v apt-get >/dev/null || fail "there is no apt-get here: install Slurm and munge with the system's own means"
  as_root true 2>/dev/null || fail "apt-get needs root or sudo without a password: have slurm-wlm and munge installed"
  say "installing slurm-wlm and munge with apt-get"
  # A failed update of one source out of several need not fail the installation.
  as_root "${quiet[@]}" update </dev/null >/dev/null 2>&1 || true
  as_root "${quiet[@]}" install --no-install-recommends slurm-wlm munge </dev/null >&2 ||
    fail "apt-get could not install slurm-wlm and munge (its message is above)"
  installed || fail "apt-get is done, yet one of ${programs[*]} is missing"
  say "installed: $(sinfo --version)"
}

# --- daemons: each has a file DIR/<name>.pid ------------------------------------------------------------------------
# A number may have gone to another process since: it is ours if that process was started with files of this folder.
runs() { # name
  local pid
  pid=$(cat "$dir/$1.pid" 2>/dev/null) && grep -qaF "$dir/" "/proc/$pid/cmdline" 2>/dev/null
}

launch() { # name command...
  local name=$1
  shift
  setsid "$@" </dev/null >>"$dir/$name.log" 2>&1 &
  echo $! >"$dir/$name.pid"
}

end() { # name
  local pid
  if runs "$1"; then
    pid=$(cat "$dir/$1.pid")
    kill "$pid" 2>/dev/null || true
    for _ in $(seq 100); do runs "$1" || break; sleep 0.1; done
    if runs "$1"; then kill -KILL "$pid" 2>/dev/null || true; fi
  fi
  rm -f "$dir/$1.pid"
}

within() { # seconds command...: wait until the command succeeds
  local tries=$((5 * $1))
  shift
  for _ in $(seq "$tries"); do
    if "$@" >/dev/null 2>&1; then return; fi
    sleep 0.2
  done
  return 1
}

free_port() {
  local port
  for _ in $(seq 100); do
    port=$((20000 + RANDOM % 10000)) # below the ports that the system hands out by itself
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then echo "$port"; return; fi
  done
  fail "found no free port between 20000 and 29999"
}

# --- start ----------------------------------------------------------------------------------------------------------
configure() {
  local host user node gpus devices number controller_port node_port
  host=$(hostname -s)
  user=$(id -un)
  # CPUs=2 Boards=1 SocketsPerBoard=1 CoresPerSocket=2 ThreadsPerCore=1 RealMemory=24105
  node=$(slurmd -C | sed -n 's/^NodeName=[^ ]* //p')
  devices=/dev/nvidia
  gpus=$(find /dev -maxdepth 1 -name 'nvidia[0-9]*' | wc -l)
  if [ -n "${GPUS:-}" ]; then
    gpus=$GPUS devices=$dir/gpu # Slurm asks of a device no more than that its file exists
    for number in $(seq 0 $((gpus - 1))); do : >"$devices$number"; done
  fi
  : >"$dir/gres.conf"
  if [ "$gpus" -gt 0 ]; then
    node+=" Gres=gpu:$gpus"
    echo "NodeName=localhost Name=gpu File=$devices[0-$((gpus - 1))]" >"$dir/gres.conf"
  fi
  controller_port=$(free_port)
  node_port=$(free_port)
  while [ "$node_port" = "$controller_port" ]; do node_port=$(free_port); done
  cat >"$dir/slurm.conf" <<CONF
ClusterName=trial
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$controller_port
SlurmdPort=$node_port
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
CredType=cred/munge
# A job that is queued again waits as long as a credential lives (two minutes if nothing is said).
AuthInfo=socket=$dir/munge.socket,cred_expire=10
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.own.pid
SlurmdPidFile=$dir/slurmd.own.pid
# What needs neither cgroups nor systemd.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
GresTypes=gpu
ReturnToService=2
# Without a database the controller alone knows how a job ended: it remembers for an hour.
MinJobAge=3600
# Seconds from SIGTERM to SIGKILL.
KillWait=5
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName=localhost NodeHostname=$host NodeAddr=127.0.0.1 $node
PartitionName=main Nodes=localhost Default=YES State=UP PriorityTier=1
PartitionName=urgent Nodes=localhost State=UP PriorityTier=2
CONF
}

# Snakemake's plugin calls srun without any SLURM_... of its environment, so that it would look in /etc/slurm.
wrap_srun() {
  mkdir -p "$dir/bin"
  printf '#!/bin/sh\nSLURM_CONF=%s exec %s "$@"\n' "$dir/slurm.conf" "$(command -v srun)" >"$dir/bin/srun"
  chmod +x "$dir/bin/srun"
}

ready() { sinfo --noheader --format=%T --partition=main | grep -qE '^(idle|mixed|allocated)$'; }

# After a failed start nothing runs on, and the reason is shown.
give_up() {
  trap - EXIT INT TERM
  tail -n 5 "$dir"/munged.log "$dir"/slurmctld.log "$dir"/slurmd.log >&2 2>/dev/null || true
  stop_slurm
  fail "Slurm did not start in $dir: $1 (the ends of its logs are above)"
}

start_slurm() {
  installed || fail "Slurm and munge are not installed: run '$0 install', or install slurm-wlm and munge"
  # Path names of sockets have at most 107 bytes.
  [ ${#dir} -le 90 ] || fail "the name $dir is too long for a socket: take a shorter folder, such as /tmp/slurm"
  for name in munged slurmctld slurmd; do
    if runs "$name"; then fail "a Slurm runs in $dir already: '$0 status $dir' shows it"; fi
  done
  mkdir -p "$dir/state" "$dir/spool"
  [ -e "$dir/munge.key" ] || (umask 077 && head -c 128 /dev/urandom >"$dir/munge.key")
  configure
  PATH=${PATH//"$dir/bin:"/} wrap_srun
  trap 'give_up "it was interrupted"' EXIT INT TERM
  # --force: the folder need not be open to other users.
  launch munged munged --foreground --force --socket "$dir/munge.socket" --key-file "$dir/munge.key" \
    --pid-file "$dir/munged.own.pid" --seed-file "$dir/munge.seed" --log-file "$dir/munged.own.log"
  within 10 test -S "$dir/munge.socket" || give_up "munged did not answer"
  launch slurmctld slurmctld -D -c -f "$dir/slurm.conf" # -c: with no jobs of an earlier start
  launch slurmd slurmd -D -f "$dir/slurm.conf"
  within 60 ready || give_up "the node did not come up"
  trap - EXIT INT TERM
  say "$(sinfo --version) runs in $dir with $(sinfo --noheader --partition=main --format='%c CPUs, %m MB')"
  echo "export SLURM_CONF=$dir/slurm.conf PATH=$dir/bin:\$PATH"
}

# --- stop and status ------------------------------------------------------------------------------------------------
# Processes of jobs and their supervisors: their environment names this configuration and they belong to a job.
left_behind() {
  local process environment
  for process in /proc/[0-9]*; do
    environment=$(tr '\0' '\n' 2>/dev/null <"$process/environ") || continue
    grep -qxF "SLURM_CONF=$dir/slurm.conf" <<<"$environment" || continue
    if grep -q '^SLURM_JOB_ID=' <<<"$environment" || grep -qx slurmstepd "$process/comm"; then
      echo "${process#/proc/}"
    fi
  done
}

no_jobs() { [ -z "$(squeue --noheader --states=running,completing,configuring,suspended)" ]; }

stop_slurm() {
  local pid
  if runs slurmctld; then
    scancel --quiet --full --state=pending 2>/dev/null || true
    squeue --noheader --format=%A 2>/dev/null | xargs -r scancel --quiet 2>/dev/null || true
    within 20 no_jobs || say "jobs do not end by themselves: killing them"
  fi
  for name in slurmd slurmctld munged; do end "$name"; done
  for pid in $(left_behind 2>/dev/null); do kill -KILL "$pid" 2>/dev/null || true; done
  say "nothing of $dir runs any more"
}

status_slurm() {
  local name missing=0
  for name in munged slurmctld slurmd; do
    if runs "$name"; then say "$name runs (process $(cat "$dir/$name.pid"))"; else say "$name does not run"; missing=1; fi
  done
  [ "$missing" = 0 ] || return 1
  sinfo
  squeue --states=all
}

# --------------------------------------------------------------------------------------------------------------------
case "${1:-}" in
  install) [ $# = 1 ] || fail "install takes no argument"; install_slurm ;;
  start | stop | status)
    [ $# = 2 ] || fail "$1 takes the folder of the trial Slurm: $0 $1 DIR"
    case $1 in
      start) mkdir -p "$2" ;;
      *) [ -e "$2/slurm.conf" ] || fail "there is no trial Slurm in $2: '$0 start $2' makes one" ;;
    esac
    dir=$(cd "$2" && pwd -P)
    case $dir in *[!a-zA-Z0-9_./-]*) fail "the name $dir has characters that Slurm's configuration does not take" ;; esac
    export SLURM_CONF=$dir/slurm.conf
    "$1_slurm"
    ;;
  -h | --help | help) usage ;;
  *) usage >&2; exit 2 ;;
esac
