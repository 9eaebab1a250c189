#!/bin/sh
# Makes releases.ndjson from the changelogs that Debian packages install: two exports of one
# history, by date, that overlap. Needs dpkg-dev, curl, git, linux-libc-dev, openssl and tzdata.
#
#   sh make.sh /usr/share/doc > releases.ndjson
set -eu
export LC_ALL=C
doc=${1:-/usr/share/doc}

# One line a release: seconds since 1970, source package, version, suite, urgency; oldest first.
history=$(mktemp)
trap 'rm -f "$history"' EXIT
for package in apt bash binutils coreutils curl dpkg git libc6 libsqlite3-0 libudev1 \
    linux-libc-dev openssl perl-base tzdata; do
    for changelog in "$doc/$package/changelog.Debian.gz" "$doc/$package/changelog.gz"; do
        test -f "$changelog" && break
    done
    gzip -dc "$changelog" | dpkg-parsechangelog --all --format rfc822 -l - 2>/dev/null
    echo
done | awk '
    function end() { if (source) print time, source, version, suite, urgency; source = "" }
    $1 == "Source:" { source = $2 }
    $1 == "Version:" { version = $2 }
    $1 == "Distribution:" { suite = $2 }
    $1 == "Urgency:" { urgency = tolower($2) }
    $1 == "Timestamp:" { time = $2 }
    /^$/ { end() }
    END { end() }
' | sort -k1,1n -k2,2 -k3,3 > "$history"

# export_between FROM TO: the releases of these years, FROM included, TO not.
export_between() {
    awk -v from="$1" -v to="$2" '
        { time = strftime("%Y-%m-%dT%H:%M:%SZ", $1, 1) }
        time >= from && time < to {
            printf "{\"id\":\"%s/%s\",\"ts\":\"%s\",\"suite\":\"%s\",\"urgency\":\"%s\"}\n",
                $2, $3, time, $4, $5
        }
    ' "$history"
}

# The first export stopped at the end of 2022. Whoever sent it could not tell how much of it had
# arrived, and sent everything since 2010 again.
export_between 1990 2023
export_between 2010 2100
