"""Stage 9. In: alerts, the data's calendar, new data, a person's wish. Out: episodes, each one turn of the loop."""
