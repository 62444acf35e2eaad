#!/usr/bin/env bash
# A replicated volume that survives kill -9, on this machine: ./dev demo builds first and runs this.
#
#   --keep       leave the cluster running at the end and say how to use it
#   --dir DIR    where the cluster goes (a fresh temporary directory)
#
# It uses loopback addresses and a directory of its own, so several may run at once. Whatever way it
# ends, its daemons are stopped and its files removed, unless --keep was given.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

keep=no
dir=
while [[ $# -gt 0 ]]; do
  case $1 in
    --keep) keep=yes ;;
    --dir) dir=${2:?--dir needs a directory}; shift ;;
    -h | --help) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "demo.sh knows no \"$1\"; it has --keep and --dir DIR" >&2; exit 2 ;;
  esac
  shift
done

bin=${SEAWALL_BIN_DIR:-$PWD/build/bin}
for program in "$bin/seawall" "$bin/seawall-controller" "$bin/seawall-node"; do
  [[ -x $program ]] || { echo "$program is not there: ./dev build makes it" >&2; exit 3; }
done
for tool in fio nbdcopy qemu-img jq mke2fs e2fsck debugfs sha256sum; do
  command -v "$tool" >/dev/null || { echo "$tool is missing: ./dev deps installs it" >&2; exit 1; }
done

base=$(mktemp -d "${TMPDIR:-/tmp}/seawall-demo.XXXXXX")
if [[ -z $dir ]]; then dir=$base/cluster; fi
export XDG_STATE_HOME=$base/state
if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
  bold=$'\e[1m' green=$'\e[32m' red=$'\e[31m' dim=$'\e[2m' plain=$'\e[0m'
else
  bold='' green='' red='' dim='' plain=''
fi

begin_ms=$(date +%s%3N)
stage='starting'
jobs_to_end=()

since() { awk -v a="$1" -v b="$(date +%s%3N)" 'BEGIN { printf "%.1f s", (b - a) / 1000 }'; }
step() { stage=$1; printf '\n%s[%6s] %s%s\n' "$bold" "$(since "$begin_ms")" "$1" "$plain"; }
say() { printf '           %s\n' "$*"; }
ok() { printf '           %s%s%s\n' "$green" "$*" "$plain"; }
die() { printf '%sdemo: %s%s\n' "$red" "$*" "$plain" >&2; exit 1; }
seawall() { "$bin/seawall" --dir "$dir" "$@"; }
volume() { seawall volume show demo --output json | jq -r "$1"; }
pid_of() { seawall cluster status --output json | jq -r ".daemons[] | select(.name == \"$1\") | .pid"; }

finish() {
  local status=$? log
  trap - EXIT INT TERM
  for pid in "${jobs_to_end[@]}"; do kill "$pid" 2>/dev/null || true; done
  if [[ $status -ne 0 ]]; then
    printf '%sdemo: failed while: %s%s\n' "$red" "$stage" "$plain" >&2
    for log in "$dir"/logs/*.log; do
      [[ -e $log ]] && { echo "--- the end of $log"; tail -n 8 "$log"; } >&2
    done
  fi
  if [[ $keep == yes && $status -eq 0 ]]; then exit 0; fi
  [[ -e $dir/cluster.json ]] && seawall cluster down --destroy >/dev/null 2>&1
  rm -rf "$base"
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# wait_until SECONDS WHAT COMMAND...: polls the command.
wait_until() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@"; do
    ((SECONDS < deadline)) || die "not within its time: $what"
    sleep 0.05
  done
}
healthy() { [[ $(volume '.health + (.serving | tostring)' 2>/dev/null) == healthytrue ]]; }
served_beyond() { [[ $(volume "(.epoch > $1) and .serving" 2>/dev/null) == true ]]; }
fio_alive() { kill -0 "$fio_pid" 2>/dev/null || die "fio ended early: $(tail -n 5 "$base/fio.out")"; }
same_image() {
  qemu-img dd -f raw -O raw bs=1M count=$image_mib "if=$uri" "of=$base/back.img" >/dev/null
  [[ $(sha256sum <"$base/back.img") == "$image_sum" ]] || die "the file system image has changed"
}

image_mib=96
step 'a controller and three nodes, each a process with its own address, log and pool'
seawall cluster up --nodes 3 2>/dev/null | sed 's/^/           /'

step 'a volume of 512 MiB in three copies; a write completes when two have it'
seawall volume create demo --size 512MiB --replicas 3 --policy quorum --log-size 256MiB |
  sed 's/^/           /'
wait_until 20 'the volume is healthy' healthy
primary=$(volume .primary)
front=$(volume "[.replicas[].node | select(. != \"$primary\")][0]")
seawall attach demo --frontend nbd --socket "$base/demo.nbd" --node "$front" | sed 's/^/           /'
uri="nbd+unix:///demo?socket=$base/demo.nbd"
say "primary $primary; the block device is served at $front, which is not the primary"

step 'a real file system, made of this source tree, copied onto it'
mkdir "$base/tree"
git ls-files -z 2>/dev/null | xargs -0 cp --parents -t "$base/tree" 2>/dev/null ||
  cp -r engine wal node controller cli proto "$base/tree"
head -c 40000000 /dev/urandom >"$base/tree/random.bin"
mke2fs -q -t ext4 -d "$base/tree" "$base/fs.img" ${image_mib}M
image_sum=$(sha256sum <"$base/fs.img")
copied=$(date +%s%3N)
nbdcopy --flush "$base/fs.img" "$uri"
say "$image_mib MiB by nbdcopy in $(since "$copied"), $(find "$base/tree" -type f | wc -l) files," \
  "sha256 ${image_sum:0:16}..."

# healthy, and notes by which kind of session NODE comes back.
healthy_noting() {
  volume ".replicas[] | select(.node == \"$1\") | .session_kind" >>"$base/way.$1"
  healthy
}
way_back() {
  if grep -q full "$base/way.$1"; then echo 'by a full rebuild'; else echo 'by catch-up'; fi
}

# load NAME OFFSET: fio in the background, random writes, every block verified as it goes.
load() {
  fio --name="$1" --ioengine=nbd --uri="$uri" --rw=randwrite --bs=4k --iodepth=16 --offset="$2" \
    --size=32M --time_based --runtime=10 --rate_iops=2500 --verify=crc32c --verify_fatal=1 \
    --verify_backlog=512 --verify_state_save=0 --output-format=json \
    --output="$base/fio-$1.json" >"$base/fio.out" 2>&1 &
  fio_pid=$!
  jobs_to_end+=("$fio_pid")
  sleep 2
  fio_alive
}
# Waits for its end: every block that it wrote was read back and was right.
load_ends() {
  wait "$fio_pid" || die "fio found something wrong: $(tail -n 5 "$base/fio.out")"
  jobs_to_end=("$watch_pid")
}
fio_sum() { jq -s "[.[].jobs[0] | $1] | $2" "$base"/fio-*.json; }

step 'fio writes at random and verifies every block with crc32c; it will not notice what follows'
"$bin/seawall" --dir "$dir" watch \
  > >(sed -u "s/^/           $dim/; s/\$/$plain/") 2>/dev/null &
watch_pid=$!
jobs_to_end+=("$watch_pid")
load primary 128M

step "kill -9 of the primary's process ($primary, pid $(pid_of "$primary")) in the middle of it"
epoch=$(volume .epoch)
killed=$(date +%s%3N)
kill -9 "$(pid_of "$primary")"
wait_until 20 'another primary serves' served_beyond "$epoch"
failover=$(since "$killed")
second=$(volume .primary)
ok "$second serves epoch $(volume .epoch) after $failover"
fio_alive
sleep 1
seawall cluster start "$primary" | sed 's/^/           /'
returned=$(date +%s%3N)
wait_until 30 'the old primary is back in sync' healthy_noting "$primary"
first_back="$(since "$returned"), $(way_back "$primary")"
ok "$primary is back in sync after $first_back"
load_ends

victim=$(volume "[.replicas[] | select(.role != \"primary\" and .node != \"$front\")][0].node // empty")
if [[ -z $victim ]]; then victim=$primary; fi
load replica 320M
step "kill -9 of a replica's process ($victim, pid $(pid_of "$victim"))"
kill -9 "$(pid_of "$victim")"
sleep 1.5
fio_alive
seawall cluster start "$victim" | sed 's/^/           /'
returned=$(date +%s%3N)
rm -f "$base/way.$victim"
wait_until 30 'the replica is back in sync' healthy_noting "$victim"
second_back="$(since "$returned"), $(way_back "$victim")"
ok "$victim is back in sync after $second_back"

step 'every checksum'
load_ends
kill "$watch_pid" 2>/dev/null || true
jobs_to_end=()
writes=$(fio_sum .write.total_ios add)
verified=$(fio_sum .read.total_ios add)
errors=$(fio_sum .error add)
((errors == 0)) || die "fio says error $errors"
slowest=$(fio_sum '.write.clat_ns.max' 'max / 1e7 | round / 100')
ok "fio: $writes writes, $verified blocks verified, error $errors; the slowest write took $slowest s"
same_image
e2fsck -fn "$base/back.img" >"$base/fsck.out" 2>&1 || die "e2fsck: $(tail -n 3 "$base/fsck.out")"
mkdir "$base/out"
debugfs -R "rdump / $base/out" "$base/back.img" 2>/dev/null
rm -rf "$base/out/lost+found"
differing=$(diff -rq "$base/tree" "$base/out" | wc -l)
((differing == 0)) || die "$differing files have changed"
ok "the file system is clean, all $(find "$base/out" -type f | wc -l) files are equal, sha256 is the same"

step 'kill -9 of everything at once: three nodes and the controller'
mapfile -t pids < <(seawall cluster status --output json | jq '.daemons[].pid')
kill -9 "${pids[@]}"
returned=$(date +%s%3N)
seawall cluster up >/dev/null 2>&1
wait_until 30 'the volume is healthy again' healthy
# The daemon serves its export again by itself; to attach it once more waits for that.
seawall attach demo --frontend nbd --socket "$base/demo.nbd" >/dev/null
all_back=$(since "$returned")
same_image
ok "healthy again after $all_back, and the file system image is still the same"

step 'the end'
seawall volume show demo | sed 's/^/           /'
cat <<SUMMARY

           ${bold}what happened                                 took${plain}
           primary killed, next one serves               $failover
           old primary back in sync                      $first_back
           replica back in sync                          $second_back
           everything killed, healthy again              $all_back
           writes by fio, verified, error                $writes, $verified, $errors
           files that differ                             $differing
SUMMARY
printf '\n%sall checksums match; %s in all%s\n' "$green" "$(since "$begin_ms")" "$plain"
if [[ $keep == yes ]]; then
  cat <<KEPT

It stays, as asked:
  $bin/seawall --dir $dir cluster status
  $bin/seawall --dir $dir watch
  qemu-io -f raw '$uri'
End it with: $bin/seawall --dir $dir cluster down --destroy && rm -rf $base
KEPT
fi
