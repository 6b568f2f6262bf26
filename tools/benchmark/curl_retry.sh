#!/bin/sh
# The retry of one DRS job as it is written for pulumi-command: send it, ask until it is well.
# $CLOUD is the URL of the project, $JOB the job.
set -eu

post() {
    curl --silent --show-error --fail --header 'Content-Type: application/json' --data "$2" "$CLOUD/jobs/$1"
}

post batch-retry-task "{\"jobs\": [{\"job_id\": \"$JOB\"}]}"
while post batch-status "{\"jobs\": [\"$JOB\"], \"page_req\": {\"cur_page\": 1, \"per_page\": 1}}" | grep -q STARTJOBING; do
    sleep 0.5
done
