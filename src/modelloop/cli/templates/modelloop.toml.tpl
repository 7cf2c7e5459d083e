# What this project promises, in one file that people can review.
# All settings with their meaning: docs/project-file.md. Every mistake is reported at once, with its line: modelloop status.
# Durations are written "90s", "30m", "6h", "14d" or "2w". They run on event time: the time at which things happened.

[project]
name = "$name"
owner = "the team that answers for it"
description = ""

# ---- What it is for -------------------------------------------------------------------------------------------------

[objective]
question = "$question"
task = "$task"                     # binary: a probability; multiclass: one of several; regression: a number
metric = "$metric"                       # the one number that says how well it does: $metrics
meaning = "$meaning"
label = "target"                     # the column that holds the truth
slices = ["kind"]                    # shown group by group too, worst group first

# ---- 1 data: where rows come from, and what they promise ------------------------------------------------------------

# Every new CSV file in landing/data becomes a new version of the dataset "rows", if it keeps the contract.
[sources.landing]
path = "landing/data"
format = "csv"                       # or parquet, jsonl
dataset = "rows"
contract = "rows"

# Columns, types, ranges. `modelloop data infer FILE` proposes a contract for a file that you have.
[contracts.rows]
key = ["id"]                         # no two rows share it
on_violation = "stop"                # nothing of a bad file is taken in; "quarantine": only its good rows are

[contracts.rows.columns]
id = { type = "string" }
at = { type = "time" }               # when it happened
amount = { type = "float", min = 0, nullable = true, max_null_rate = 0.2 }
kind = { type = "string", nullable = true }
target = { type = "$type", nullable = true$range }     # the truth; empty where it is not known yet

# ---- 2-4 label, prepare, train: a function of steps.py returns a candidate ------------------------------------------

[pipelines.train]
function = "steps:train"
inputs = { rows = "rows" }           # argument = dataset
model = "$name"                      # the candidate becomes the next version of this model, if it passes the gates
time_limit = "30m"

[pipelines.train.params]             # further arguments of the function
trials = 8
holdout = 0.2

# ---- 5 evaluate: what a version must meet before it may answer anybody ----------------------------------------------

[gates.beats-the-mean]
check = "baseline"                   # better than always answering the mean
min_rows = 100

[gates.no-worse]
check = "champion"                   # on the same rows as the version that answers now
margin = $margin                        # how much worse is still no loss, in units of the metric
min_rows = 100

[gates.served-as-trained]
check = "parity"                     # the served model answers as the training code does
tolerance = $tolerance                   # largest difference, relative to answers beyond 1

# [gates.good-enough]
# check = "metric"                   # the whole interval of the metric on the good side of the bound
# bound = $bound

# ---- 6-7 register, deploy: what is served, and how a new version comes to answer ------------------------------------

[endpoints.$name]
model = "$name"

[endpoints.$name.rollout]            # shadow, then canary, then live; or back, by itself
shadow_rows = 300                    # labelled pairs before the shadow may pass; 0: no shadow
canary = [0.1, 0.5]                  # shares of the callers that the new version answers, step by step
canary_rows = 50                     # rows it must have been asked in each step
approval = false                     # true: a person says yes before it is live

# ---- 8 monitor: what is watched -------------------------------------------------------------------------------------

[monitors.quality]
endpoint = "$name"
signal = "quality"                   # needs outcomes: the truth, posted later
every = "7d"
label_delay = "1d"
tolerance = $margin                     # a loss up to this size is no alert, in units of the metric

[monitors.inputs]
endpoint = "$name"
signal = "input-drift"               # needs no outcomes
every = "7d"
severity = "note"                    # shown only; "alert": sent, and may start work

[alerts.worker-log]
channel = "log"

# [alerts.team]
# channel = "webhook"
# url_from = "ALERTS_URL"            # the environment variable that holds the address, which may hold a secret

# ---- 9 retrain: what turns the loop ---------------------------------------------------------------------------------

[triggers.quality-fell]
on = "alert"
monitor = "quality"
pipeline = "train"
endpoint = "$name"
cool_down = "14d"

# [triggers.monthly]
# on = "schedule"
# every = "30d"
# pipeline = "train"
# endpoint = "$name"
