#!/usr/bin/env bash
# One real Apache Kafka broker for tests: a process of its own, on 127.0.0.1 only, with all that it
# keeps in one folder. `broker.sh` without arguments tells how to use it.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TARGET=${CARGO_TARGET_DIR:-$HERE/../../../target}
CACHE=${FIRSTSEEN_KAFKA_CACHE:-$TARGET/kafka-broker}
JAVA_MIN=17
START_SECONDS=60
STOP_SECONDS=20
PORT_SECONDS=5
TRIES=5

FAILED=1
NOT_RUNNING=3
USAGE=64
UNAVAILABLE=69

usage() {
  cat <<'END'
usage: broker.sh start DIR [--port N] [--owner PID]
       broker.sh stop | kill | status DIR

start   starts a broker that keeps its data in DIR, waits until it answers, prints HOST:PORT.
        An existing DIR keeps its data and its port; a broker that runs already is left alone.
        --port N     the port to listen on; else that of the last start, else a free one
        --owner PID  stop the broker when the process PID is gone
stop    ends the broker, and asks it to write everything first
kill    ends the broker at once (SIGKILL), as a crash would
status  prints HOST:PORT and succeeds if the broker runs; fails with 3 if not

In DIR: bootstrap (HOST:PORT), broker.pid, broker.log, server.properties, data.
The first start fetches Kafka by mvn into $FIRSTSEEN_KAFKA_CACHE (default: target/kafka-broker).
Exit codes: 1 failed, 3 not running, 64 wrong usage, 69 java 17 or mvn is missing.
END
}

fail() {
  local code=$1
  shift
  printf 'broker.sh: %s\n' "$*" >&2
  exit "$code"
}

# --- what it needs ---

require_java() {
  command -v java >/dev/null || fail $UNAVAILABLE "java is missing; install Java $JAVA_MIN or newer"
  local version
  version=$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n 1)
  [ "${version:-0}" -ge $JAVA_MIN ] ||
    fail $UNAVAILABLE "java is of version ${version:-unknown}; install Java $JAVA_MIN or newer"
}

# Prints the folder of the jars that pom.xml asks for. A folder has its name only once it is whole.
fetch_jars() {
  local jars part
  jars=$CACHE/jars-$(cksum <"$HERE/pom.xml" | cut -d ' ' -f 1)
  if [ ! -d "$jars" ]; then
    command -v mvn >/dev/null || fail $UNAVAILABLE "mvn is missing; install Maven to fetch Kafka"
    mkdir -p "$CACHE"
    part=$(mktemp -d "$CACHE/part.XXXXXX")
    if ! mvn -B -q -f "$HERE/pom.xml" dependency:copy-dependencies -DincludeScope=runtime \
      -DoutputDirectory="$part" </dev/null >"$part.log" 2>&1; then
      cat "$part.log" >&2
      rm -rf "$part"
      fail $FAILED "mvn could not fetch Kafka; its messages are above"
    fi
    rm "$part.log"
    # Of two first starts one comes second: its folder lands inside the other's and is not needed.
    mv "$part" "$jars"
    rm -rf "${jars:?}/${part##*/}"
  fi
  printf '%s\n' "$jars"
}

# --- ports ---

# Nothing answers on the port. Another process may still take it; then a start tries anew.
port_is_free() {
  ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# A process that was killed a moment ago may hold its port a little longer than its name.
wait_for_port() {
  local deadline=$((SECONDS + PORT_SECONDS))
  until port_is_free "$1"; do
    [ "$SECONDS" -lt "$deadline" ] || return 1
    sleep 0.05
  done
}

# Below the ports that systems hand to outgoing connections.
free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 12000))
    if port_is_free "$port"; then
      printf '%s\n' "$port"
      return
    fi
  done
}

# --- the process ---

# Prints the process id if it is alive and is the broker of this folder, not a later process.
running_pid() {
  local pid
  [ -f "$DIR/broker.pid" ] || return 1
  pid=$(cat "$DIR/broker.pid")
  case "$(ps -ww -o args= -p "$pid" 2>/dev/null)" in
    *java*"-Dfirstseen.broker=$DIR "*) printf '%s\n' "$pid" ;;
    *) return 1 ;;
  esac
}

# Waits up to that many seconds for the broker's end.
wait_for_end() {
  local deadline=$((SECONDS + $1))
  while running_pid >/dev/null; do
    [ "$SECONDS" -lt "$deadline" ] || return 1
    sleep 0.05
  done
}

# Ends the broker, if it runs, by that signal, and by SIGKILL if it does not heed it in time.
end_broker() {
  local signal=$1 pid
  if pid=$(running_pid); then
    kill -s "$signal" "$pid" 2>/dev/null || true
    if ! wait_for_end $STOP_SECONDS; then
      kill -s KILL "$pid" 2>/dev/null || true
      wait_for_end $STOP_SECONDS || fail $FAILED "process $pid does not end"
    fi
  fi
  rm -f "$DIR/broker.pid"
}

# Outlives this script: stops the broker once its owner is gone, and ends with the broker.
watch_owner() {
  local owner=$1
  trap '' HUP INT
  while kill -0 "$owner" 2>/dev/null && running_pid >/dev/null; do
    sleep 0.5
  done
  end_broker TERM
}

# --- start ---

# One node that is controller and broker, with internal topics as small as one node can serve.
write_properties() {
  local port=$1 controller=$2
  cat >"$DIR/server.properties" <<END
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$port
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs=$DIR/data
auto.create.topics.enable=false
default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=2
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=2
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
# A killed broker is let in again only when its old session has run out.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=8388608
END
}

format_data() {
  local jars=$1 id
  # 16 random bytes, base64 for URLs; Kafka takes no id that looks like a flag.
  id=$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=')
  java -Xmx256m -cp "$jars/*" -Dorg.slf4j.simpleLogger.defaultLogLevel=warn \
    kafka.tools.StorageTool format --cluster-id "${id/#-/A}" --config "$DIR/server.properties" \
    </dev/null >>"$DIR/broker.log" 2>&1 ||
    fail $FAILED "cannot format $DIR/data; see $DIR/broker.log"
}

launch() {
  local jars=$1
  local flags=(-Xms128m -Xmx512m -XX:+UseSerialGC -XX:+ExitOnOutOfMemoryError)
  flags+=(-Dorg.slf4j.simpleLogger.defaultLogLevel=warn)
  flags+=(-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info)
  flags+=(-Dorg.slf4j.simpleLogger.showDateTime=true)
  flags+=("-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss.SSS")
  nohup java "-Dfirstseen.broker=$DIR" "${flags[@]}" -cp "$jars/*" \
    kafka.Kafka "$DIR/server.properties" </dev/null >>"$DIR/broker.log" 2>&1 &
  printf '%s\n' "$!" >"$DIR/broker.pid"
}

# Waits until the child just launched says that it has started, past that many bytes of the log.
wait_until_started() {
  local log_size=$1 child=$! deadline=$((SECONDS + START_SECONDS))
  until tail -c "+$((log_size + 1))" "$DIR/broker.log" | grep -q 'Kafka Server started'; do
    kill -0 "$child" 2>/dev/null || return 1
    [ "$SECONDS" -lt "$deadline" ] || return 1
    sleep 0.05
  done
}

# The log, past that many bytes, blames a taken port.
port_was_taken() {
  tail -c "+$(($1 + 1))" "$DIR/broker.log" | grep -q 'Address already in use'
}

start() {
  local port='' owner='' jars wanted log_size try
  while [ $# -gt 0 ]; do
    case "$1" in
      --port) port=${2:-} ;;
      --owner) owner=${2:-} ;;
      *) usage >&2 && exit $USAGE ;;
    esac
    [[ ${2:-} =~ ^[0-9]+$ ]] || fail $USAGE "$1 needs a number"
    shift 2
  done
  if running_pid >/dev/null; then
    cat "$DIR/bootstrap"
    return
  fi
  require_java
  jars=$(fetch_jars)
  if [ -z "$port" ] && [ -f "$DIR/bootstrap" ]; then
    port=$(sed 's/.*://' "$DIR/bootstrap")
  fi
  [ -z "$port" ] || wait_for_port "$port" ||
    fail $FAILED "port $port is taken by another process; choose one by --port"
  touch "$DIR/broker.log"
  for ((try = 1; try <= TRIES; try++)); do
    wanted=${port:-$(free_port)}
    write_properties "$wanted" "$(free_port)"
    [ -f "$DIR/data/meta.properties" ] || format_data "$jars"
    log_size=$(wc -c <"$DIR/broker.log")
    launch "$jars"
    if wait_until_started "$log_size"; then
      printf '127.0.0.1:%s\n' "$wanted" | tee "$DIR/bootstrap"
      if [ -n "$owner" ]; then
        watch_owner "$owner" </dev/null >/dev/null 2>&1 &
      fi
      return
    fi
    end_broker KILL
    port_was_taken "$log_size" || break
  done
  tail -n 20 "$DIR/broker.log" >&2
  fail $FAILED "the broker did not start on port $wanted; see above and $DIR/broker.log"
}

status() {
  if ! running_pid >/dev/null; then
    printf 'not running\n'
    exit $NOT_RUNNING
  fi
  cat "$DIR/bootstrap"
}

case "${1:-}" in
  start | stop | kill | status) ;;
  *) usage >&2 && exit $USAGE ;;
esac
[ $# -ge 2 ] || fail $USAGE "$1 needs a folder"
[ "$1" != start ] || mkdir -p "$2"
DIR=$(cd "$2" 2>/dev/null && pwd -P) || fail $USAGE "there is no folder $2"
case "$1" in
  start) start "${@:3}" ;;
  stop) end_broker TERM ;;
  kill) end_broker KILL ;;
  status) status ;;
esac
