"""
Every cap, grace and timeout of the package, each with its unit, its meaning and its reason.

Every layer reads this module, so it imports nothing of ours, and nothing of Airflow. What a vendor documents (limits of
its API, how long it lists a batch) stands beside its gateway. ``docs/settings.md`` is made from this file by
``python -m scripts.settings_page``: the unit in brackets, the meaning, and the reason in a paragraph of its own.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Final

# --- Requests to a gateway ---

CONNECT_TIMEOUT: Final = 5.0
"""
[seconds] For a connection to a gateway, unless the connection's extra says otherwise.

A gateway that does not take a connection by then is down, and nothing has been sent.
"""
MOST_CONNECT_TIMEOUT: Final = 300.0
"""
[seconds] The largest `connect_timeout` that a connection's extra may ask for.

A typing error must not hold a task for hours.
"""
READ_TIMEOUT: Final = 30.0
"""
[seconds] Between two bytes of an answer, unless the connection's extra says otherwise.

An answer that is given up is an unknown outcome, so this is generous.
"""
MOST_READ_TIMEOUT: Final = 600.0
"""
[seconds] The largest `read_timeout` that a connection's extra may ask for.

A typing error must not hold a task for hours.
"""
READ_TIMEOUTS_AN_ANSWER: Final = 4
"""
[read timeouts] For a whole answer.

A read timeout alone bounds only the gap between two bytes.
"""
LARGEST_ANSWER: Final = 32 * 1024 * 1024
"""
[bytes] Of an answer's body.

An answer is read into memory; statuses of 500 recipients are far smaller.
"""
REQUEST_ATTEMPTS: Final = 4
"""
[attempts] Of a request that provably did not leave, or that may be repeated safely.

With waits of 1, 2 and 4 s a short outage is over; a longer one is for Airflow's retries.
"""
LONGEST_REPEAT_WAIT: Final = 60.0
"""
[seconds] Before one repeat, `Retry-After` included.

Longer waits are for Airflow's retries, which hold no worker.
"""
LONGEST_RETRY_AFTER: Final = 86_400
"""
[seconds] What is believed of a gateway's `Retry-After`.

A longer one is a mistake, or a date misread.
"""
MOST_LATE_SLOTS: Final = 20
"""
[slots] At the rate limit that one request may miss before it is given up.

A request that misses so many runs on a machine that stands still.
"""
LONGEST_IDLE: Final = 30.0
"""
[seconds] Of silence after which a connection is not used again.

A NAT or a firewall forgets silent connections after some minutes, the strictest after one, and answers the
first bytes with a reset: nobody would know whether they arrived.
"""
KEPT_CONNECTIONS: Final = 16
"""
[connections] How many a sender keeps open to its gateway.

Further requests open one of their own, and close it.
"""
LONGEST_HOLD: Final = 2.0
"""
[seconds] How long an open connection is held for its slot at the rate limit.

Servers close a connection that says nothing after 5 s and more.
"""
MAX_IN_FLIGHT: Final = 4
"""
[requests] Of one campaign that are under way at once, by default.

More would leave more outcomes unknown when a task is killed.
"""

# --- What gateways take and write ---

MAX_RECIPIENTS_PER_BATCH: Final = 500
"""
[recipients] In one request, unless the gateway takes fewer.

All vendors here take as many, and none takes more.
"""
REPEAT_SAFETY_MARGIN: Final = timedelta(hours=1)
"""
[time] Taken off the time for which a gateway recognises a repeat.

Its clock is not ours.
"""
MOST_LIMIT_REQUESTS: Final = 100_000
"""
[requests] The most requests of a rate limit.

No vendor allows so many; more is a typing error.
"""
SHORTEST_LIMIT_WINDOW: Final = 0.001
"""
[seconds] The shortest window of a rate limit.

Slots are counted in microseconds; a shorter window would be rounding.
"""
LONGEST_LIMIT_WINDOW: Final = 86_400.0
"""
[seconds] The longest window of a rate limit.

Slots are kept for as long; vendors count by the minute or the hour.
"""
EXCERPT_LENGTH: Final = 200
"""
[characters] Of an answer that an error quotes.

Enough to recognise an error page.
"""
LONGEST_QUOTE: Final = 200
"""
[characters] Of a gateway's, a database's or a failed task's own words that an error or an alert quotes.

Enough for a sentence; the fix comes first.
"""
LONGEST_SCRUBBED: Final = 1_000_000
"""
[bytes] Of an answer that is scrubbed to be quoted; of a longer one only the size is shown.

Every spelling of every secret is looked for, which takes time.
"""
MOST_ESCAPE_LAYERS: Final = 6
"""
[times] Escapes of URLs, JSON and HTML that are undone to find a secret.

Gateways were seen to escape twice.
"""
FEWEST_LETTERS_OF_A_SECRET: Final = 8
"""
[characters] Letters and digits by which a secret is recognised without its accents and punctuation.

Fewer stand in ordinary words.
"""
SHORTEST_SCRUBBED_FIELD: Final = 3
"""
[characters] The shortest personal field that is scrubbed from errors.

Shorter ones stand in every text.
"""
MOST_DIGITS_OF_AN_AMOUNT: Final = 40
"""
[digits] Of money or a duration in an answer.

A longer number would make sums raise or take long.
"""
MOST_DIGITS_OF_A_COUNT: Final = 18
"""
[digits] Of a whole number in an answer.

It fits into 64 bits, as the store wants it.
"""
LONGEST_GATEWAY_ID: Final = 255
"""
[characters] Of the id of a batch that a gateway outside reads from an answer.

As wide as columns of the store are.
"""
MOST_TAG_PAGES: Final = 100
"""
[pages] Of the statuses of one tag that are read.

500 recipients at five to a page, and many more at the 20 of sibling calls (inferred).
"""
DEEPEST_REASON: Final = 4
"""
[levels] Of nested lists and objects that are searched for the reason of a refusal.

Vendors nest two; an answer must not keep us busy.
"""
MOST_REASONS: Final = 50
"""
[entries] Of each list and object of a refusal that are read.

An error shows only the first 200 characters.
"""
DEEPEST_REPEAT_NOTICE: Final = 6
"""
[levels] Of nested lists and objects that are searched for a notice that a request was accepted before.

The notice decides whether a batch is sent again, so more is read than for words.
"""
MOST_UNKNOWN_WORDS: Final = 100
"""
[texts] Unknown status words of one gateway that a process logs.

A gateway that puts free text there must not fill the memory or the log.
"""
MOST_CALLBACK_FIELDS: Final = 200
"""
[entries] Fields of a form in a callback.

Vendors send some twenty.
"""
LONGEST_CALLBACK_HEAD: Final = 512
"""
[bytes] Of a content type, or of the headers of a part of a form.

Python's reader of their parameters takes quadratic time.
"""
FEWEST_DIGITS_OF_A_NUMBER: Final = 6
"""
[digits] Of the phone number that a callback is about.

Fewer reach nobody.
"""
MOST_DIGITS_OF_A_NUMBER: Final = 20
"""
[digits] Of a text that is read as one phone number.

E.164 has 15, prefixes aside; more are two numbers in one cell.
"""
LONGEST_NUMBER_TEXT: Final = 100
"""
[characters] Of a text that is looked at to say why it is no phone number.

The reason shows in its beginning.
"""
FEWEST_NUMBERS_AT_ONCE: Final = 50
"""
[numbers] How many are read together; fewer are read one by one.

Below that the tables cost more than they save.
"""
FIELDS_SHOWN: Final = 20
"""
[entries] Names of personal fields that an error lists.

Enough to see the misspelt one.
"""
TEMPLATES_CACHED: Final = 32
"""
[texts] Kept taken apart in a process.

A campaign has one; several tasks may share a process.
"""
MESSAGES_CACHED: Final = 16
"""
[texts] Messages of which a process keeps what was worked out.

A campaign has one; several tasks may share a process.
"""

# --- Rate limits ---

SLOT_MARGIN: Final = 0.1
"""
[seconds] Added to each window by default, and less to short ones.

What a scheduler and a commit may be late by.
"""
NETWORK_MARGIN: Final = 0.5
"""
[seconds] Added to each window of a gateway, and less to short ones.

A slot is confirmed right before the request leaves, so this is for the network: one request travels faster than
another.
"""
MARGIN_SHARE: Final = 0.04
"""
[share of a window] That its margin takes at most, where that is more than `LEAST_MARGIN`.

At least 0.95 of a limit can be used.
"""
LEAST_MARGIN: Final = 0.2
"""
[seconds] The margin of even a short window.

Less would not cover how much travel times of requests vary.
"""
LATE_SHARE: Final = 0.25
"""
[share of the margin] That a request may leave late.

The rest of the margin is the network's.
"""
CONFIRM_AHEAD: Final = 0.1
"""
[seconds] Before its moment at which a slot is confirmed.

The store's answer is there when the moment comes.
"""
SETTLED: Final = 2.0
"""
[seconds] From now within which no slot is moved to make room for another.

Its holder may be about to send.
"""
COMMIT_ALLOWANCE: Final = 1.25
"""
[times] The last commit's duration that the next one is expected to take.

The next one may take a little longer.
"""
DEFAULT_PENALTY: Final = 60.0
"""
[seconds] How long everybody waits after an HTTP 429 without `Retry-After`, if the gateway's `INFO` names no wait of its
own.

A window of a minute has passed by then.
"""
LONGEST_PENALTY: Final = 3_600.0
"""
[seconds] How long a gateway can make everybody wait.

After an hour one request finds out whether it is still meant.
"""
PENALTY_CHECK_INTERVAL: Final = 0.1
"""
[seconds] Between two checks for a penalty, where no limit is known.

A check takes a millisecond, as long as a whole request to a gateway that answers at once. Another worker's 429
is seen that much later, our own at once.
"""
BALANCE_WAIT: Final = 5.0
"""
[seconds] How long a campaign waits for a slot to read the balance.

It holds up everything else, and only warns earlier of credit that does not suffice.
"""
SLOTS_A_PRUNE: Final = 128
"""
[slots] Reserved between two deletions of past ones.

Past slots are deleted now and then, not with each reservation.
"""
LONGEST_LIMIT_NAME: Final = 120
"""
[characters] Of a rate limit's name in the store.

The width of its column.
"""
DEFER_FROM: Final = 30.0
"""
[seconds] A wait of this length or more goes to the triggerer, where a task may defer.

Below that, resuming costs more than the wait holds.
"""
LONGEST_SLEEP: Final = math.nextafter(DEFER_FROM, 0)
"""
[seconds] How long a task which may defer waits for a slot in its worker.

Just below the wait that goes to the triggerer.
"""
TRIGGER_SLEEP: Final = 60.0
"""
[seconds] How long a trigger sleeps at a time.

The clock may be set, and a sleep does not notice.
"""

# --- Campaigns ---

INTERRUPTED_GRACE: Final = 20.0
"""
[seconds] How long an interrupted campaign waits for answers that are under way.

Airflow kills a task 60 s after SIGTERM.
"""
ANSWERS_TOGETHER: Final = 0.02
"""
[seconds] After an answer, before the next requests are built and more of the list is read.

Requests that left together are answered together. To read a part of a file takes up to 20 ms, for which the next answer
would wait.
"""
STOP_CHECK_INTERVAL: Final = 0.5
"""
[seconds] Between two checks whether a campaign was cancelled.

A signal handler can only set a flag; half a second is soon for whoever stops a task.
"""
CLAIM_LASTS: Final = timedelta(minutes=1)
"""
[time] After which the claim of a batch that still waits is renewed.

A batch may wait for a slot for an hour after it was claimed, and how long a gateway may still come to know it
is counted from its claim.
"""
CLAIM_IS_STALE: Final = timedelta(minutes=5)
"""
[time] After which a claimed batch does not leave any more.

Its claim was not renewed, so the worker stood still, and a later attempt may have learnt from the gateway that
it has no such batch.
"""
LOOK_UP_AFTER: Final = (0.0, 2.0, 5.0)
"""
[seconds] Before each look-up of a batch whose outcome is unknown, within one attempt.

A batch may not be known at once, right after it was accepted.
"""
LEAST_LOOK_UP_INTERVAL: Final = 30.0
"""
[seconds] Between two rounds of look-ups, while a batch may still become known.

A round is as far from the next as the batch is old, within this and the next bound.
"""
MOST_LOOK_UP_INTERVAL: Final = 300.0
"""
[seconds] Between two rounds of look-ups, while a batch may still become known.

A status should not be seen much later than it is there.
"""
LONGEST_SILENCE: Final = timedelta(days=1)
"""
[time] How long a gateway which does not answer look-ups is asked again, by retries and in the triggerer.

An outage of a gateway should be over by then.
"""
SENDING_ROUNDED_BY: Final = timedelta(minutes=5)
"""
[time] How much later than planned a gateway may send.

SMS Partner takes every fifth minute, and times are rounded up.
"""
CLOCK_TOLERANCE: Final = timedelta(minutes=10)
"""
[time] How far before its claim a report may be dated and still be about that batch.

The gateway's clock and ours differ, and some of its dates are cut to the minute.
"""
CALLED_BACK_WITHIN: Final = timedelta(minutes=15)
"""
[time] How long a first callback about a batch is waited for.

Callbacks come within minutes; about a batch that is planned for later, later.
"""
MOST_SEND_AGAIN_MARKS: Final = 200
"""
[texts] Of `send_again` that one campaign remembers.

A person gave each of them.
"""
EACH_BATCH_UP_TO: Final = 20
"""
[batches] Of a campaign that logs a line for every batch.

A line costs a third of what a request does.
"""
PROGRESS_INTERVAL: Final = 10.0
"""
[seconds] Between two lines of progress of a larger campaign.

Often enough to see that it goes on.
"""

# --- Recipients and their files ---

LONGEST_LINE: Final = 1_048_576
"""
[bytes] Of one row of a file.

A file without line ends is not read into memory.
"""
TEXT_BLOCK: Final = 131_072
"""
[bytes] Of a text file that are read at a time.

Enough to read fast, and little to hold.
"""
ROWS_A_CHUNK: Final = 2_000
"""
[rows] Of recipients that are read and checked together.

More need memory and save no time.
"""
HEADER_SEARCHED: Final = 10
"""
[lines] At a CSV file's beginning among which a header is looked for, to suggest it.

Titles above a table take a few lines.
"""
LONGEST_FILE_HEAD: Final = 1_024
"""
[bytes] Of a file that are read to tell what it is.

Every signature stands in the first bytes.
"""
LONGEST_PATH: Final = 4_096
"""
[characters] Of a rendered text that may be the path of a template file.

The longest path of Linux.
"""
KEPT_NUMBERS: Final = 4_000_000
"""
[numbers] How many a plan holds in memory; of a longer list it holds none.

They take 32 MB.
"""
KEPT_ITEM: Final = 200
"""
[characters] Of an invalid row's number that are stored.

Enough to recognise it, whatever else stands in the column.
"""

# --- What messages name ---

SHOWN_REJECTS: Final = 10
"""
[rows] Invalid ones that a plan describes.

More than ten are one mistake, and `rejects_path` has all.
"""
NAMED_REJECTS: Final = 5
"""
[rows] Invalid ones that an error names.

An error must fit on a screen.
"""
NAMED_SKIPS: Final = 3
"""
[rows] Invalid ones that the reason of a skipped task names.

The reason is one line of the UI.
"""
NAMED_IN_ALERT: Final = 5
"""
[entries] Recipients (masked), ids and errors that an alert's log line names, and failed tasks that its text names.

Both must stay readable.
"""
SHOWN_COLUMNS: Final = 10
"""
[columns] Of a file that an error names.

An error must fit on a screen.
"""
LONGEST_COLUMN_NAME: Final = 40
"""
[characters] Of a column's name in an error.

The first row may hold a text, not a name.
"""
MOST_NAME_DIGITS: Final = 4
"""
[digits] In a first row's cell that is still shown as a column's name.

More may be a phone number.
"""
SHOWN_NUMBER: Final = 20
"""
[characters] Of an invalid number up to which it is shown masked.

A longer one is no number, but a text.
"""
SHOWN_NUMBER_DIGITS: Final = 7
"""
[digits] How many an invalid number needs to be shown masked.

With fewer, the mask would show most of it.
"""
SHOWN_URL_PART: Final = 16
"""
[characters] Of a callback URL's path up to which a part is shown.

Longer parts are tokens.
"""

# --- The store ---

STORE_WAIT: Final = 60.0
"""
[seconds] To wait for a store that cannot be reached, unless `store_wait` is set.

A failover of PostgreSQL takes less.
"""
LONGEST_STORE_WAIT: Final = 86_400
"""
[seconds] The largest `store_wait`.

A typing error must not hold a worker for weeks.
"""
FIRST_STORE_PAUSE: Final = 0.1
"""
[seconds] Before a store is tried again for the first time; each later pause is twice as long.

Most failures are over at once.
"""
LONGEST_STORE_PAUSE: Final = 2.0
"""
[seconds] Between two tries of a store.

Work resumes soon after the store is back.
"""
STORE_LOCK_TIMEOUT: Final = 30
"""
[seconds] For a lock of the store, and for a PostgreSQL transaction that does nothing.

No worker waits forever for one that froze in a transaction.
"""
STORE_CONNECT_TIMEOUT: Final = 10
"""
[seconds] For a connection to PostgreSQL, unless the URL has `connect_timeout`.

PostgreSQL's library has no timeout of its own.
"""
STORE_POOL: Final = 2
"""
[connections] To PostgreSQL that a process keeps open.

Threads that need more open them.
"""
STORE_POOL_OVERFLOW: Final = 14
"""
[connections] To PostgreSQL that a process opens beyond these.

Further threads wait for one of them.
"""
WAL_RETRY_INTERVAL: Final = 0.01
"""
[seconds] Between two tries to switch SQLite to its write-ahead log.

Processes that switch at once lock each other out, and SQLite itself does not wait here.
"""
STORE_TURN_WAIT: Final = 1.0
"""
[seconds] For a turn among the processes that write to SQLite at once.

Then SQLite's own lock decides: a process that is frozen must not hold up the others.
"""
STORE_TURN_INTERVAL: Final = 0.005
"""
[seconds] Between two looks whether it is one's turn.

A write takes a few milliseconds.
"""
EMPTY_LOG_TIMEOUT: Final = 5.0
"""
[seconds] How long a purge waits for readers of SQLite's log.

Readers take milliseconds; a longer one is logged.
"""
EMPTY_LOG_INTERVAL: Final = 0.05
"""
[seconds] Between two tries to empty SQLite's log.

A try takes a millisecond.
"""
LEDGER_KEPT: Final = timedelta(days=90)
"""
[time] How long the ledger of a campaign stays after its last attempt, unless a purge is given another age.

A task that is cleared sooner sends nothing twice.
"""
RESERVATIONS_KEPT: Final = timedelta(days=3)
"""
[time] How long the rate limits' reservations stay at least, whatever age a purge is given.

Longer than the longest window, which is a day.
"""
CALLBACK_LIFETIME: Final = timedelta(days=30)
"""
[time] After a batch is due that its gateway may report about it.

Reports come within days; STOPs and answers later.
"""
KEPT_DEAD_LETTERS: Final = 1_000
"""
[calls] Stored as dead letters at most; the newest stay.

A gateway that changes its format must not fill the database.
"""
KEPT_DEAD_LETTERS_OF_A_BATCH: Final = 100
"""
[calls] Of one URL of a batch, stored as dead letters at most.

One leaked URL must not push out the dead letters of all others.
"""
LONGEST_KEPT_BODY: Final = 65_536
"""
[bytes] Stored of a dead letter's body, and characters of a reply.

As much as a callback may have.
"""
REPEAT_WITHIN: Final = 600
"""
[seconds] Within which the same text of the same person is one event, if the gateway reports no time.

The intervals are fixed on the clock, so a repeat across the edge of two is a second event: better than a lost
answer.
"""
LONGEST_REFERENCE: Final = 200
"""
[characters] Of a reference in the store.

The width of its column.
"""
CAMPAIGNS_A_READ: Final = 20
"""
[batches] Whose reports are read with one query.

Ten thousand rows in memory.
"""
ROWS_A_PURGE: Final = 2_000
"""
[rows] How many a purge deletes in one transaction.

Writers wait for it no longer than for each other.
"""
HASHES_A_PURGE: Final = 5_000
"""
[numbers] How many a purge hashes at a time for the list of opt-outs.

They fit into one statement.
"""
BATCHES_IN_A_REPORT: Final = 500
"""
[batches] How many a report lists.

Those of a larger campaign are read from the store: 2,000 of them are 180 KB, which XCom is no place for.
"""
ROWS_A_STATEMENT: Final = 500
"""
[rows] In one statement that copies records from another memory.

SQLite allows 32,766 parameters.
"""
SHORTEST_SECRET: Final = 16
"""
[characters] Of a key in `callback_secret` or `opt_out_key`.

Fewer could be guessed.
"""
FEWEST_SECRET_CHARACTERS: Final = 6
"""
[characters] Different ones of a callback secret.

16 random hexadecimal digits have fewer once in ten thousand times.
"""
FEWEST_SECRET_STEPS: Final = 5
"""
[distances] Different ones between neighbours of a callback secret.

`abcdefghijklmnop` has one.
"""

# --- Airflow's task state ---

SUMMARY_EVERY: Final = 16
"""
[entries] Of which one sums up the others; its number is kept for it.

Measured under Airflow 3.3 on SQLite: a write takes 12 ms with one record and 15 with 50, a read as long. A
campaign of 2,000 batches is read back with some 140 reads.
"""
MOST_LOST_WRITES: Final = 2
"""
[writes] How many may fail one after the other; then an attempt is over.

An attempt must not do what it cannot record.
"""
STATE_REACH: Final = MOST_LOST_WRITES + 1
"""
[entries] Behind the last one whose numbers may have been used without a trace.

Lost ones, and one that is for a summary.
"""
MOST_STATE_RECORDS: Final = 50
"""
[records] In one entry.

They take 10 kB, and Airflow warns above 64.
"""
LARGEST_SUMMARY: Final = 60_000
"""
[bytes] Of a summary.

Airflow warns above 64 kB. Where so much is in flight that more would be in it, entries are few, and are read
one by one.
"""
SLOW_CLAIM: Final = 1.0
"""
[seconds] How long a claim may take before an attempt looks whether another one has begun.

None begins more quickly.
"""

# --- Waiting for results ---

POKE_INTERVAL: Final = 60.0
"""
[seconds] Between two checks of a campaign, by default.

Delivery reports take minutes to days.
"""
NOT_FOUND_GRACE: Final = 300.0
"""
[seconds] After sending during which the gateway may not know the campaign yet, by default.

Statuses are listed some time after a batch was accepted.
"""
UNLISTED_GRACE: Final = 3_600.0
"""
[seconds] After sending from which recipients whom the gateway does not list count as unconfirmed, by default.

Gateways drop recipients of a batch that they took, and say nothing of them.
"""
SMS_UNCONFIRMED_AFTER: Final = 72 * 3_600.0
"""
[seconds] After sending from which an SMS without a report is unconfirmed, by default.

An SMS waits for its handset for two days.
"""
CALL_UNCONFIRMED_AFTER: Final = 24 * 3_600.0
"""
[seconds] After sending from which a call or voicemail without a report is unconfirmed, by default.

A call is over when it is over.
"""
LAST_POLL_WITHIN: Final = 3_600.0
"""
[seconds] After which silence counts even if the gateway could not be asked once more.

A gateway that is down must not keep a wait from ending.
"""
SENSOR_GRACE: Final = 600.0
"""
[seconds] After a sensor's deadline from which Airflow ends a deferral.

The trigger ends it at the deadline itself; this is for a triggerer that is gone.
"""
SHORTEST_DEFERRAL: Final = 5.0
"""
[seconds] How long a wait in the triggerer lasts at least.

When a task goes on sooner than the scheduler has taken note that it was deferred, the scheduler takes the one
for the other, and fails a task that is running.
"""
LEAST_TRIGGER_SLEEP: Final = 0.01
"""
[seconds] How long a trigger sleeps.

A wait of nothing would keep the event loop busy.
"""
MOST_STORE_FAILURES: Final = 100
"""
[checks] How many may fail one after another before a wait is given up.

At the default interval they take more than an hour and a half.
"""
BATCHING_SHARE: Final = 0.1
"""
[share of an interval] That a poll about few recipients waits for others to be asked with.

One request can ask about several campaigns.
"""
FEW_RECIPIENTS: Final = 50
"""
[recipients] Up to which a campaign is polled together with others.

More fill requests of their own.
"""
POLL_THREADS: Final = 8
"""
[threads] How many poll gateways in a triggerer.

The rate limits leave little room for more.
"""
POLL_SLOT_WAIT: Final = 1.0
"""
[seconds] How long a poll waits for the rate limit in one of these threads.

It comes again in the next round, and a thread that waits holds up other campaigns.
"""
WORKER_POLL_SLOT_WAIT: Final = 10.0
"""
[seconds] How long a poll waits for the rate limit in a worker.

Then it is left to the next check.
"""
POLLS_AT_ONCE: Final = 4
"""
[requests] Of one campaign that poll at once.

As many as `max_in_flight` allows by default.
"""
MOST_UNANSWERED_POLLS: Final = 3
"""
[requests] In a row without an answer, after which a check is over.

The next check finds the gateway again.
"""
REPORTS_A_WRITE: Final = 20_000
"""
[reports] How many are written in one transaction.

A check that brings more writes more often, so that memory stays flat.
"""
LONGEST_POLL_ROUND: Final = 600.0
"""
[seconds] After which a request of a round is left behind.

The timeouts of HTTP end each of them long before.
"""
CAMPAIGNS_A_TURN: Final = 50
"""
[campaigns] How many are notified of a change before the event loop may do something else.

A few milliseconds, when all go on.
"""

# --- Triggers of events ---

EVENT_POLL_INTERVAL: Final = 5.0
"""
[seconds] Between two reads of the store for new events, by default.

Somebody who answers a message waits a few seconds.
"""
LEAST_EVENT_POLL_INTERVAL: Final = 0.1
"""
[seconds] How long `poll_interval` may be.

A read takes a millisecond.
"""
EVENTS_UNDER_WAY: Final = 25
"""
[events] How many were handed to Airflow and are not yet known to be stored.

As many as a kill may repeat. Airflow needs one to two seconds for each lot, most of it until it next exchanges
state with its child.
"""
EVENT_STORE_WAIT: Final = 600.0
"""
[seconds] How long a store which cannot be read is waited for before the trigger fails.

Airflow then starts it anew.
"""
BEFORE_FAILING: Final = 60.0
"""
[seconds] To wait before a trigger fails.

The triggerer starts a failed trigger again at once.
"""
EVENT_WRITE_ATTEMPTS: Final = 3
"""
[attempts] To note what was handed over.

An event that is not noted is handed over again.
"""
EVENT_WRITE_PAUSE: Final = 0.2
"""
[seconds] Before the first repeat of that; each later pause is longer by as much.

Most failures are over at once.
"""
STORE_LOG_INTERVAL: Final = 60.0
"""
[seconds] Between two log lines about a store that cannot be read.

A log must stay readable.
"""
EVENTS_A_PAGE: Final = 1_000
"""
[events] Read with one query.

They take some 350 kB.
"""
MOST_EVENT_PAGES: Final = 4
"""
[pages] Of events kept for other triggers that are as far.

Of 200,000 events to catch up with, all would take 70 MB.
"""
RUNS_REMEMBERED: Final = 50
"""
[runs] Whose share of events is remembered.

A retry, or a person who clears the task, gets the same again.
"""

# --- The receiver of callbacks ---

LARGEST_CALLBACK: Final = 64 * 1024
"""
[bytes] Of a callback's body.

Far more than a gateway sends; an attacker must not fill the memory.
"""
MOST_DISCARDED: Final = 1024 * 1024
"""
[bytes] Read and discarded of a body that is too large.

The client then reads its answer; without it a proxy reports a broken connection.
"""
BODY_TIMEOUT: Final = 10.0
"""
[seconds] For a callback's body to come.

Gateways send it with the headers.
"""
COMMIT_TIMEOUT: Final = 20.0
"""
[seconds] How long a callback waits for its commit.

Then the call is answered 503.
"""
HEALTH_INTERVAL: Final = 1.0
"""
[seconds] How long the answer of the health page is cached.

Frequent health checks must not load the store.
"""
RECEIVER_LOG_INTERVAL: Final = 60.0
"""
[seconds] Between two log lines about the same problem.

An attacker must not fill the log.
"""
PROBLEMS_REMEMBERED: Final = 100
"""
[kinds] Of problems whose last log line is remembered.

There are fewer; the limit bounds the memory.
"""
MOST_WAITING: Final = 5_000
"""
[callbacks] How many may wait for a commit; more are refused at once.

A gateway would not wait that long.
"""
LARGEST_GROUP: Final = 1_000
"""
[callbacks] Whose reports share one transaction.

Larger groups are no faster, and hold the database longer.
"""
GROUP_PAUSES: Final = (0.0, 0.05, 0.2)
"""
[seconds] Before a group is written again while the store fails.

Then its calls are answered 503.
"""
GROUP_RETRY_WITHIN: Final = 1.0
"""
[seconds] After which a store that fails is not tried again for one group.

Octopush waits no longer for an answer.
"""
WRITER_CLOSE_TIMEOUT: Final = 10.0
"""
[seconds] How long closing waits for the writer's thread.

A commit takes less, or the store is stuck.
"""
HEADER_BYTES: Final = 64 * 1024
"""
[bytes] Of the first line and all headers of a request, of trailers, and of the framing of a chunked body.

An attacker must not fill the memory.
"""
FRAMES_A_BYTE: Final = 8
"""
[bytes] At most, of framing for each byte of a body.

A chunk of one byte has six.
"""
HEADER_TIMEOUT: Final = 10.0
"""
[seconds] From a request's first byte, or a connection without any, to the end of its headers.

Silent clients must not hold connections.
"""
REQUEST_TIMEOUT: Final = 60.0
"""
[seconds] For a request in all.

Body and commit end sooner, but a client may not read its answer.
"""
PARSED_AT_A_TIME: Final = 16 * 1024
"""
[bytes] Handed to the parser between two checks of the limits.

Large enough to cost nothing.
"""
LISTEN_BACKLOG: Final = 2_048
"""
[connections] How many may wait to be accepted.

Callbacks come in bursts.
"""
SHUTDOWN_TIMEOUT: Final = 15
"""
[seconds] How long a receiver waits for requests in progress when it stops.

Kubernetes kills after 30 s by default.
"""
KEEP_ALIVE_TIMEOUT: Final = 30
"""
[seconds] Of silence after which a client's connection is closed.

Gateways send reports in bursts.
"""
STUCK_CHECK_TICKS: Final = 5
"""
[tenths of a second] Between two checks for stuck connections.

The server's own tick is a tenth of a second.
"""
EVENTS_A_URL: Final = 5_000
"""
[events] Replies and pressed keys that the URL of one batch may leave; twice as many where these are STOPs.

A batch has 500 recipients, each of whom may answer some times.
"""
BATCHES_REMEMBERED: Final = 500
"""
[batches] Whose recipients a receiver caches.

Saves a query for each callback.
"""
RECIPIENTS_IN_URL: Final = 16
"""
[recipients] Of a batch whose marks are a part of the URL itself; those of a larger batch are in the store.

A notifier needs no store, and no gateway documents how long a URL may be.
"""
LONGEST_TOKEN: Final = 1_024
"""
[characters] The longest token of a URL.

Ours are shorter.
"""
TOKENS_REMEMBERED: Final = 4_096
"""
[tokens] Whose verified signature is cached.

A gateway calls the same URL hundreds of times.
"""
SIGNERS_REMEMBERED: Final = 16
"""
[signers] Cached, one for each gateway.

Names come from URLs that anybody may write.
"""

# --- The watchdog ---

WATCH_INTERVAL: Final = 10.0
"""
[seconds] From one look of the watchdog at Airflow to the next; `times.interval`.

A failure must be reported within a minute, and a look costs Airflow four small requests.
"""
WATCH_GRACE: Final = 15.0
"""
[seconds] How long a failure is left to its own callback before the watchdog reports it; `times.grace`.

A callback starts about 1.5 s after the failure, and its alert may take 20 s; a claimed one is waited for longer.
"""
MOST_WATCH_GRACE: Final = 300.0
"""
[seconds] The longest grace that can be configured.

Half of `WATCH_OVERLAP`, within which a failure is found again with each look.
"""
WATCH_SILENCE: Final = 30.0
"""
[seconds] From which a scheduler, triggerer, DAG processor or API counts as silent; `times.silent_after`.

Airflow's own health checks use 30 s; its parts give a sign of life every 5 s.
"""
WATCH_PEER_SILENCE: Final = 120.0
"""
[seconds] From which another watchdog counts as silent; `heartbeat.peer_silent_after`.

A watchdog that sends an alert over all its fallbacks is late with its heartbeat.
"""
SHORTEST_WATCH: Final = 1.0
"""
[seconds] The shortest interval of the watchdog that can be configured.

More often would only load Airflow's database.
"""
LONGEST_WATCH: Final = 3_600.0
"""
[seconds] The longest interval, grace or silence of the watchdog that can be configured.

An alert that is an hour late is a mistake in the file.
"""
WATCH_TIMEOUT: Final = 5.0
"""
[seconds] For Airflow's API to accept a connection, and again for each answer to begin.

Five questions that end like this still fit into a minute.
"""
WATCH_CLOCKS_APART: Final = 60.0
"""
[seconds] By which the watchdog's clock and Airflow's are apart before the log says so.

The watchdog takes it into account; whoever reads times in logs should know.
"""
WATCH_OVERLAP: Final = 600.0
"""
[seconds] How far before its last look the watchdog asks again for failures.

Workers write the end of a task by their own clock, and a write may be late.
"""
WATCH_MEMORY: Final = 86_400.0
"""
[seconds] How far back a watchdog that was away looks for failures.

Nobody is to be woken for what happened days ago.
"""
WATCH_QUESTIONS: Final = 20
"""
[times] For how many failed runs the watchdog asks in one look which tasks failed long before.

Their names are for the message; it leaves without them.
"""
WATCH_LOOK: Final = 25.0
"""
[seconds] How long all questions of one look may take; an Airflow that takes longer counts as silent.

Sending goes on meanwhile, and a page within a minute needs the rest of it.
"""
WATCH_STORE_TIMEOUT: Final = 5.0
"""
[seconds] How long the watchdog waits for its store; then it alerts people without it.

A store answers in milliseconds; a locked one must not hold up a page.
"""
WATCH_REFRESH: Final = 600.0
"""
[seconds] After which the watchdog looks its connections up again.

So it learns of a new key, and goes on with what it has when Airflow is dead.
"""
WATCH_SEGMENTS: Final = 2
"""
[segments] The longest SMS of the watchdog.

One for what happened, and one for a link.
"""
WATCH_NAMES: Final = 5
"""
[entries] How many tasks a message of the watchdog names.

The rest is counted.
"""
WATCH_MESSAGES: Final = 5
"""
[times] How many findings of one look get a message each; the others share one.

If everything fails at once, a phone that rings all the time helps nobody.
"""
DEAD_MAN_INTERVAL: Final = 60.0
"""
[seconds] From one call of the dead man's switch to the next.

The services that offer one count in minutes.
"""
WATCH_PAGE: Final = 100
"""
[entries] How many the watchdog asks Airflow's API for at once.

The most that Airflow's API gives, unless it is configured otherwise.
"""
MOST_WATCH_PAGES: Final = 50
"""
[times] The most pages of one list that the watchdog reads in one look.

5,000 failures; the incident says that there are many, and the rest is read with the next look.
"""
LARGEST_WATCH_ANSWER: Final = 20_000_000
"""
[bytes] The largest answer of Airflow's API that is read.

A page of a hundred is far smaller; a proxy that answers with something else must not fill the memory.
"""
LARGEST_WATCH_FILE: Final = 1_000_000
"""
[bytes] The largest file of the watchdog's configuration that is read.

A file that was named by mistake must not fill the memory.
"""
WATCH_PIECE: Final = 65_536
"""
[bytes] Read of an answer of Airflow's API at once.

After each piece the length so far is checked.
"""

# --- Notifiers ---

ALERT_TIMEOUT: Final = 20.0
"""
[seconds] For an alert in all; then its callback goes on.

DAG callbacks run in the DAG processor, which has other work to do.
"""
ALERT_QUESTION_TIMEOUT: Final = 5.0
"""
[seconds] For each question that an alert asks Airflow: for its contacts, for the failed tasks of a DAG.

Within `ALERT_TIMEOUT`; the alert is sent all the same, without the answer.
"""
LONGEST_MAIL_READ: Final = 2_000
"""
[characters] Of a mail's subject and body that are read for the SMS in its place.

An SMS segment holds 160, and an exception's text may have any length.
"""
LONGEST_MASKING: Final = 1.0
"""
[seconds] Within which Airflow 3's supervisor learns of a secret; after that, in the background.

It answers at once, or is busy for longer; the process itself masks the secret from the beginning.
"""
LEAST_ALERT_WAIT: Final = 0.1
"""
[seconds] The time left for an alert, however long its templates took.

The thread that sends logs what is left behind.
"""
ALERT_CONNECT_TIMEOUT: Final = 4.0
"""
[seconds] For a connection to a gateway.

Two attempts fit into `ALERT_TIMEOUT`.
"""
ALERT_READ_TIMEOUT: Final = 10.0
"""
[seconds] Between two bytes of an answer.

An alert has little time.
"""
ALERT_ATTEMPTS: Final = 2
"""
[attempts] Of an alert that provably did not leave.

A callback has 20 s for all of it.
"""
ALERT_REPEAT_WAIT: Final = 4.0
"""
[seconds] Before an alert is tried again.

A callback has 20 s for all of it.
"""
LONGEST_ALERT: Final = 1_224
"""
[characters] Of an alert's text.

Every gateway takes so many; letters written in plain ones may be more.
"""
ALERT_SEGMENTS: Final = 8
"""
[segments] Of an alert by SMS, unless `max_segments` says otherwise.

1,224 characters of GSM-7.
"""
LONGEST_SPOKEN: Final = 300
"""
[characters] Of the default text that a call reads out.

Some 20 seconds of speech.
"""
QUESTION_SEGMENTS: Final = 3
"""
[segments] Of the default text of a question to people, unless `max_segments` says otherwise.

Subject, options and a link rarely fit into one.
"""
LEAST_ERROR: Final = 20
"""
[characters] Of an error that stand in an SMS before the link to the log is left out.

A link without an error says less than an error without a link.
"""

# --- Commands ---

PROBE_LIFETIME: Final = timedelta(minutes=10)
"""
[time] Until the URL of the probe of `callbacks check` expires.

The check takes seconds.
"""
PROBE_TIMEOUT: Final = 10
"""
[seconds] For an answer to the probe of `callbacks check`.

A receiver that works answers in milliseconds.
"""
PROBE_SLOW: Final = 1.0
"""
[seconds] From which `callbacks check` warns of a slow answer.

Octopush waits no longer.
"""
OLDEST_PURGE: Final = 36_500 * 86_400
"""
[seconds] The largest age of `db purge`.

A hundred years; larger ones overflow dates.
"""

# --- Contacts ---

LONGEST_CONTACT_NAME: Final = 40
"""
[characters] The longest name of a person, group or rota.

It is shown in logs and in Airflow's UI.
"""
LARGEST_CONTACTS: Final = 5_000_000
"""
[bytes] The largest file of contacts that is read.

A file that was named by mistake must not fill the memory of a DAG processor.
"""
MOST_SHIFTS: Final = 1_000
"""
[times] How many hand-overs are looked at to find the next person on call.

In a rota of one person nobody ever takes over.
"""
NAMED_PROBLEMS: Final = 5
"""
[entries] The most problems of the contacts that one error names.

`airflow voicepartner contacts check` lists all of them.
"""
MOST_CALENDAR_WEEKS: Final = 520
"""
[times] The most weeks that `contacts export` writes.

Ten years; calendars become slow with more events.
"""

# --- Incidents ---

AT_MOST_SECONDS: Final = 900.0
"""
[seconds] In which people are alerted of an incident once, unless a notifier says otherwise.

Long enough for a mapped task to fail a hundred times, and short enough that nobody believes it is over.
"""
ALERT_STORE_TIMEOUT: Final = 1.0
"""
[seconds] How long an alert waits for the store to open, which knows whether people were alerted already.

Then it is sent: an alert too many is better than none. The first alert of a process waits longer.
"""
FIRST_STORE_TIMEOUT: Final = 5.0
"""
[seconds] How long the first alert of a process waits for the store to be opened, instead of `ALERT_STORE_TIMEOUT`.

In a storm of failures many processes connect at once. Each that does not wait sends a message of its own.
"""
LONGEST_STORE_QUESTION: Final = 10.0
"""
[seconds] How long an alert waits for the store in all: for the import of its driver, until it is open, for its answer.

Longer than a busy machine takes for each; meanwhile nobody is alerted.
"""
PAGE_STORE_TIMEOUT: Final = 5.0
"""
[seconds] How long a page waits for a store to be opened.

Without it there are no later steps and no answers, so a machine that is only busy is worth the wait.
"""
STORE_QUESTION_PAUSE: Final = 0.05
"""
[seconds] Between two looks at a store that has not answered: whether it is still worth waiting for.

Short beside the time that an alert takes.
"""
BUSY_STORE_TIMEOUT: Final = 5.0
"""
[seconds] How long an alert waits for the answer of a store that could be opened.

In a storm many processes ask at once, and each that does not wait for its turn sends a message of its own.
"""
ALERT_RECORD_TIMEOUT: Final = 2.0
"""
[seconds] How long the callback of an alert waits until the store knows that people were alerted.

If it is not known, the alert counts as one whose sender died, and is perhaps repeated.
"""
ALERT_REQUESTS_SHARE: Final = 0.75
"""
[share of an interval] The least of an alert's time that is for its requests, and not for storing what became of them.

An alert that is late already is better sent than recorded.
"""
ALERT_LEASE_MARGIN: Final = 15.0
"""
[seconds] How long an alert stays claimed beyond the time that it and its fallbacks may take.

To render templates, and to record that people were alerted.
"""
ALERTS_REMEMBERED: Final = 10_000
"""
[entries] The most alerts that one process remembers for the time without a store.

The oldest are forgotten first.
"""
CLOCKS_APART: Final = 180.0
"""
[seconds] By which the clocks of two machines may be apart, where their times are compared.

Clocks that are kept at all are closer; anything older by more happened before.
"""
TASK_ALERTS_WAIT: Final = 5.0
"""
[seconds] How long the alert for all DAGs waits for those of the tasks that failed, if each has a notifier.

The last task's is often under way when the run has failed; that of a task that was killed never comes.
"""
TASK_ALERT_INTERVAL: Final = 0.5
"""
[seconds] Between two looks meanwhile.

A message to a gateway takes about as long.
"""
SAME_ALERT_WITHIN: Final = 600.0
"""
[seconds] Within which two alerts about a whole DAG are one, if Airflow does not say when its run began.

A cleared run fails again later, and Airflow calls the same callback twice within minutes.
"""
MOST_AT_MOST: Final = 100
"""
[times] The most messages that `at_most` allows in its time.

To get more of them, write None.
"""
MOST_AT_MOST_SECONDS: Final = 7 * 86_400
"""
[seconds] The longest time of `at_most`.

People who hear nothing for longer than a week forget that alerts are held back.
"""
INCIDENT_ENDS_AFTER: Final = 7 * 86_400.0
"""
[seconds] Without an alert, after which an incident that nobody closed and nobody has counts as over.

As long as the longest `at_most`, so that the new one reaches nobody whom the old one could not reach. A failure
after a quiet week is news, not one of those before.
"""
INCIDENT_LEASE: Final = 60.0
"""
[seconds] Within which a sender says what became of an alert that it claimed; longer with fallbacks.

An alert takes 20 s, and a sender that died must not keep others from telling people for long.
"""
OPENING_ATTEMPTS: Final = 20
"""
[attempts] To join or open an incident that others close at the same time.

Two are enough, but for a code that another incident takes.
"""
DUE_MESSAGES: Final = 100
"""
[entries] The most messages about untold alerts that one look returns.

The next look returns the next ones.
"""
INCIDENTS_LISTED: Final = 100
"""
[entries] The most incidents that a list shows, the newest first.

Nobody reads more of them at once.
"""
SMALLEST_CODE: Final = 10
"""
[numbers] The smallest code of an incident.

Codes have two digits at least, so that a single key is never one.
"""
LARGEST_SHORT_CODE: Final = 99
"""
[numbers] The largest code of an incident while there are few.

Two digits are typed easily at night.
"""
LARGEST_CODE: Final = 9_999
"""
[numbers] The largest code of an incident.

More incidents than that are not open at once; others have none.
"""
LONGEST_INCIDENT_TITLE: Final = 500
"""
[bytes] Of an incident's title.

It is one line of a list.
"""
LONGEST_INCIDENT_LINK: Final = 2_000
"""
[bytes] Of an incident's link.

Browsers take no longer ones.
"""
LONGEST_MATCHER: Final = 250
"""
[characters] Of a pattern of a silence.

Airflow's ids are no longer.
"""
MOST_SILENCE_SECONDS: Final = 90 * 86_400
"""
[seconds] How long a silence may last.

A silence that nobody remembers hides what breaks.
"""
LONGEST_SILENCE_COMMENT: Final = 250
"""
[characters] Of a silence's comment.

It says why, in one line.
"""

# --- Escalation ---

MOST_PAGE_STEPS: Final = 20
"""
[entries] The most steps of an escalation policy.

After twenty people nobody is left, and each step costs money.
"""
MOST_PAGE_REPEATS: Final = 10
"""
[times] The most often that all steps of a policy are done again.

Somebody who slept through eleven rounds sleeps through the next, and a typing error must not page for days.
"""
SHORTEST_PAGE_WAIT: Final = 30.0
"""
[seconds] The shortest `wait` of a step, and the shortest time for which an acknowledgement holds.

A text message takes some seconds to arrive, and a human some more to answer.
"""
LONGEST_PAGE_WAIT: Final = 86_400.0
"""
[seconds] The longest `wait` of a step.

Something that may wait for longer than a day needs no page.
"""
ACKNOWLEDGED_FOR: Final = 14_400.0
"""
[seconds] How long an acknowledgement holds if nothing is closed, unless the policy says otherwise.

Somebody may fall asleep over it; after half a night's work the others are asked again.
"""
LONGEST_ACKNOWLEDGED_FOR: Final = 604_800.0
"""
[seconds] The longest time for which an acknowledgement may hold.

After a week nobody remembers it; `never` is for those who mean it.
"""
LAST_RESORT_WAIT: Final = 300.0
"""
[seconds] For an answer of the last resort, in a policy without steps.

As long as people usually give a step.
"""
FIRST_FUTILE_WAIT: Final = 60.0
"""
[seconds] Until a round is done again that certainly reached nobody; twice as long after each further one.

A gateway that is down is often back within minutes, and nobody knows of the incident yet.
"""
LONGEST_FUTILE_WAIT: Final = 900.0
"""
[seconds] The longest of these pauses.

The person on call wants to know soon after the gateway is back.
"""
MOST_FUTILE_ROUNDS: Final = 100
"""
[times] The most rounds that reach nobody before an escalation gives up.

They take about a day; by then people have noticed by other means.
"""
LONGEST_ANSWER: Final = 80
"""
[characters] The longest text that is read as an answer to a page.

A longer answer says something that no word list understands.
"""
PAGE_LEASE: Final = 60.0
"""
[seconds] After which a page that was claimed and not reported on is in doubt.

A page leaves within seconds or never does; whoever says nothing after a minute has died.
"""
DUE_ESCALATIONS: Final = 500
"""
[entries] The most escalations that one look takes on.

The next look follows within seconds, and the longest due come first.
"""
ANSWERED_WITHIN: Final = 86_400.0
"""
[seconds] After a page within which an answer about an incident that was closed is answered.

Somebody who reads the page in the morning learns what became of it; later texts are about something else.
"""
SAID_ANSWERS_SECONDS: Final = 3_600.0
"""
[seconds] In which a number gets only so many answers to its answers.

An automatic reply would else be answered for ever, at the price of a message each time.
"""
MOST_SAID_ANSWERS: Final = 5
"""
[entries] The most answers to its answers that a number gets in that time.

Enough for a human who writes with big thumbs.
"""
LONGEST_SPOKEN_QUESTION: Final = 600
"""
[characters] Of the default text of a question in a call, which is said twice.

Subject and options take longer than an error, and whoever is to decide has to hear them.
"""
MOST_CHOICES: Final = 9
"""
[entries] The most options of a question that can be answered by phone.

A key is one digit, and codes have two at least; a question with more is answered in Airflow.
"""
ANSWER_HOLD: Final = 15.0
"""
[seconds] After a question was asked before its answer is given to Airflow.

Airflow 3.3.2 fails a task that is answered within about 6 s after it began to wait, in three of five trials; after 12 s
all of them succeeded.
"""
DELIVERY_LEASE: Final = 60.0
"""
[seconds] Within which a watchdog that gives an answer to Airflow says what came of it.

After that another one does it again, and Airflow takes an answer once.
"""
QUESTION_CHECK: Final = 60.0
"""
[seconds] From one look at an open question in Airflow to the next.

So long may a code stay taken, and others not know, after somebody answered there.
"""
QUESTION_STORE_TIMEOUT: Final = 3.0
"""
[seconds] For the store to open a question, before it goes out without a way to answer it by phone.

The whole alert has 20 s, of which the gateway may need most.
"""
MOST_OWN_LINKS: Final = 5
"""
[recipients] So many people who are asked by text message get one of their own, with a link that is theirs.

Each is a request of its own, and they leave side by side. A text to more of them has no link.
"""
ANSWERS_READ_WITHIN: Final = 600.0
"""
[seconds] Since when a watchdog must have read answers for a question to say that it can be answered by phone.

Nobody may be led to believe that an answer is read; a watchdog that is restarted is back within minutes.
"""
REPLY_TIMEOUT: Final = 20.0
"""
[seconds] For one message that tells somebody what came of an answer.

As long as an alert; the watchdog has other work.
"""
ANSWERS_INTERVAL: Final = 3.0
"""
[seconds] From one look of the watchdog at answers to questions to the next.

Somebody who answered waits with the phone in the hand, and a look costs the store a few small queries.
"""
ANSWERS_LOG_INTERVAL: Final = 60.0
"""
[seconds] Between two lines of the log about the same trouble with escalations, or with answers to questions.

A store or an API that is down would else fill it. Of escalations, twice as long after each further line.
"""
LONGEST_LOG_INTERVAL: Final = 3_600.0
"""
[seconds] The longest time between two such lines.

Whoever reads the log of the last hours must see what still keeps people from being paged.
"""
REPLY_SEGMENTS: Final = 2
"""
[segments] Of a message that tells somebody what came of an answer.

One is enough for what was decided; the options and codes of several questions may need two.
"""
QUESTIONS_A_LOOK: Final = 50
"""
[entries] The most questions that are looked at in Airflow, or answered, at once.

Each costs Airflow one or two small requests; the rest has its turn with the next look.
"""
QUESTIONS_LISTED: Final = 100
"""
[entries] The most questions that a list shows, the newest first.

Nobody reads more of them at once.
"""
PAGES_REMEMBERED: Final = 500
"""
[entries] The most pages to one number that are looked at to find what its answer is about.

Nobody answers to more of them, and the newest come first.
"""
PAGE_SEGMENTS: Final = 2
"""
[segments] Of a text message of an escalation.

What broke, how to answer and a signed link; it must be read with one eye open.
"""
LEAST_PAGE_TITLE: Final = 20
"""
[characters] Of what broke that stay in a page, however long the link is.

Fewer name no task.
"""
PAGE_LEAVES_WITHIN: Final = 5.0
"""
[seconds] After a step was claimed within which its pages leave, or never do.

With the time for a connection it keeps a page from leaving more than 10 s after an acknowledgement.
"""
HELD_FOR_CONNECTION: Final = 60.0
"""
[seconds] How long a step that is due waits for a connection that Airflow does not give.

An API server is back within that time after a restart. A page that was claimed meanwhile would be late.
"""
MOST_TELLINGS: Final = 5
"""
[times] The most messages that tell one person the same about an incident, where the ones before were not sent.

With the pauses between them a gateway that is down for a quarter of an hour is outlasted.
"""
FIRST_RETELL_PAUSE: Final = 60.0
"""
[seconds] Until a message that certainly was not sent is sent again; twice as long after each further one.

A gateway that is down is often back within minutes.
"""
RETOLD_WITHIN: Final = 3_600.0
"""
[seconds] After which a message that did not reach somebody is given up.

It is no news who had an incident an hour ago.
"""
FIRST_ALL_CLEAR_PAUSE: Final = 60.0
"""
[seconds] Until an all clear that was not sent is sent again; twice as long after each further time.

A gateway that is down is often back within minutes. A sender that says nothing for as long has died, or is stopped.
"""
ALL_CLEAR_WITHIN: Final = 172_800.0
"""
[seconds] After which an all clear that could not be sent is given up.

Without a watchdog it is sent with the next success, and many DAGs run once a day.
"""
ALL_CLEARS_CLAIMED: Final = 16
"""
[entries] The most all clears that leave side by side.

Each has a thread. Where none of them can be sent, the rest waits.
"""
PAGES_LATE_AFTER: Final = 60.0
"""
[seconds] How long a step is due before the watchdog holds that escalations do not go on.

A runner looks every other second; while a gateway hangs, each incident before takes it 20 s.
"""
RUNNER_SILENCE: Final = 300.0
"""
[seconds] Without an end of a look at escalations, after which the watchdog starts another runner beside the first.

A look hangs where a database does; two runners never both page.
"""
PAGES_AT_ONCE: Final = 16
"""
[entries] The most pages, or requests of one alert, that leave side by side.

More people are rarely in one step, and each of them has a thread.
"""
ANSWERS_LOOK_BACK: Final = 3_600.0
"""
[seconds] How old an answer may be that the first look of all takes in.

Older ones are no answers to pages, since nobody was paged before that look.
"""
MOST_TURNS_A_RUN: Final = 1_000
"""
[times] The most steps that one look does.

A mistake must not keep a runner from looking at the time.
"""
LINK_SIGNATURE_BYTES: Final = 16
"""
[bytes] Of the signature in the link of a page.

128 bits cannot be guessed, and more would fill the text message.
"""
LONGEST_LINK_TOKEN: Final = 64
"""
[characters] The longest last part of a page's link that is looked at.

Ours have at most 43.
"""
LINK_LIFETIME: Final = 86_400.0
"""
[seconds] How long the link of a page works.

Somebody who finds it in a phone later must not act on what is long over.
"""
LARGEST_ANSWER_FORM: Final = 1_000
"""
[bytes] The largest form that the page of an incident sends.

It has one button.
"""
LINK_ANSWER_TIMEOUT: Final = 15.0
"""
[seconds] In which an answer by a link is applied, or the page says that nothing is certain.

Longer than the store takes, and shorter than a human waits.
"""
PAGE_POLL_INTERVAL: Final = 2.0
"""
[seconds] Between two looks for answers to pages.

With the time in which a page leaves it is below the ten seconds after which nobody may be paged any more.
"""
LEAST_PAGE_POLL_INTERVAL: Final = 1.0
"""
[seconds] The shortest time between two looks that a `PageOperator` may ask for.

More looks than that find nothing new.
"""
LONGEST_PAGE_TASK: Final = 3_600.0
"""
[seconds] How long a `PageOperator` waits in the triggerer at most before it looks again.

A clock that was set, or a store that was replaced, must not leave it waiting for days.
"""
INCIDENT_EVENT_PAUSE: Final = 60.0
"""
[seconds] How long a step is late before another asset event tells of its incident.

A run that was started does what is due within that time, or has failed.
"""
INCIDENT_EVENT_BACKOFF: Final = 2
"""
[times] How much longer the next such pause is, up to `LONGEST_PAGE_TASK`.

A step that no runner can do, because the contacts cannot be read for instance, need not start a run every minute.
"""
