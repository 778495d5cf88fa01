"""The limits of all checks, each with its source or its reason."""

from __future__ import annotations

# Percent of a file system that is full, and of its inodes. A release and a dump of the database need room
# beside what is there; at 95 % ext4 has left what it keeps for root.
DISK_WARN, DISK_BAD = 85, 95

# Percent of memory that programs can still get (MemAvailable): below the first, PHP's five processes with
# their 128M each can be too much; below the second the kernel is about to kill one.
MEMORY_WARN, MEMORY_BAD = 10, 4

# Processes that want to run, for each processor, over five minutes. Twice as many as there are processors:
# all take twice as long.
LOAD_WARN, LOAD_BAD = 2.0, 5.0

# Seconds between the host's clock and this machine's. 60 is where files/host/preflight.sh refuses a host:
# TSIG and certificates need clocks that agree; 5 is more than any clock that is kept is off.
CLOCK_WARN, CLOCK_BAD = 5.0, 60.0

# Seconds since the scheduler's last start: it is started once a minute, so two minutes are one that was
# missed.
SCHEDULER_BAD = 120

# Jobs that wait in a queue, and seconds that the oldest of them has waited. Two workers that look every
# three seconds (--sleep=3) have an empty queue; a minute is what somebody waits for a mail.
QUEUE_WARN, QUEUE_BAD = 100, 1000
WAIT_WARN, WAIT_BAD = 60, 600
# Seconds that one job has run: after retry_after (90 in Laravel's own config/queue.php) another worker
# takes it again.
RUNNING_WARN = 90

# Jobs that failed for good and nobody has looked at: each is one that somebody waits for.
FAILED_WARN, FAILED_BAD = 1, 100

# Percent of PHP-FPM's processes that answer a request; a request that waits is bad, whatever the number.
POOL_WARN = 80

# Seconds for one page: after one people notice that they wait, after three they leave.
PAGE_WARN, PAGE_BAD = 1.0, 3.0
# Seconds for a probe on the host: a Redis that hangs would hold up the whole look.
# files/health/application.sh gives the application one less, so that what it has said is heard.
PROBE = 4
# Seconds until all who are asked from outside must have answered, so that the whole look takes two. While
# the look at the host takes longer, so may they, up to the second number.
OUTSIDE, PATIENCE = 1.8, 5.0

# The certificate: certbot renews at a third of its lifetime, twice a day; a third less two days is a
# renewal that has failed for two days (as in files/host/probes.sh, probe_lineage). A tenth is the end of
# time to see to it: 9 of 90 days.
RENEWAL_PART, RENEWAL_SLACK, CERTIFICATE_PART = 3, 2 * 86400, 10
# Days that a certificate of another server, LiveKit's, has left: nobody here knows how it is renewed.
FOREIGN_WARN, FOREIGN_BAD = 14, 3

# Hours since the newest dump: a nightly one, and two hours for its making; three nights without one.
BACKUP_WARN, BACKUP_BAD = 26, 72
# Hours since a copy reached the second place: the same, as it is made with each backup.
SECOND_WARN, SECOND_BAD = 26, 72
# Days since a backup was restored into a copy and compared: a nightly workflow does it; a week without one is
# a workflow that nobody looks after, a month is a backup of which nobody knows whether it can be read.
TESTED_WARN, TESTED_BAD = 8, 32

# Days since the package lists were fetched: apt's own timer does it each day (APT::Periodic::Update-
# Package-Lists).
LISTS_WARN = 7
