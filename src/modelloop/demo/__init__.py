"""The main job as a newcomer meets it: flights of 2013 played forward against the real processes.

`project/` is an ordinary project folder (copied, never imported from here); `world.py` is the data as it arrives;
`traffic.py` the callers; `play.py` the story; `screen.py` and `plain.py` show it.
"""
