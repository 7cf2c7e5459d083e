# $name

A [Modelloop](https://pypi.org/project/modelloop/) project: `modelloop.toml` says what it promises, `steps.py` trains.

1. Put a CSV file into `landing/data/` with the columns `id, at, amount, kind, target`. Or change the columns: name yours in
   `[contracts.rows.columns]` of `modelloop.toml` (`modelloop data infer FILE` proposes them) and in `FEATURES` of `steps.py`.
2. `modelloop data ingest` checks the file against its contract and makes the first version of the dataset.
3. `modelloop up` starts the processes and prints the address of the page. Leave it running.
4. `modelloop run train` (in a second terminal) trains, judges, registers, and lets the first version answer:

   ```sh
   curl -s http://127.0.0.1:8901/v2/models/$name/infer -H "Content-Type: application/json" -d '{"inputs": [
     {"name": "amount", "datatype": "FP64", "shape": [1], "data": [12.5]},
     {"name": "kind", "datatype": "BYTES", "shape": [1], "data": ["a"]}]}'
   ```

5. Send the truth when it is known, with the `prediction_id` of the answer (its header and its `parameters` hold it):

   ```sh
   curl -s http://127.0.0.1:8900/api/outcomes -H "Authorization: Bearer $$(cat .modelloop/secrets/token)" \
     -H "Content-Type: application/json" -d '{"endpoint": "$name", "outcomes": [
       {"prediction_id": "...", "label": 1, "event_time": "2026-01-31T12:00:00Z"}]}'
   ```

Then the loop turns by itself: `modelloop status`, `modelloop monitor`, `modelloop episodes`.
