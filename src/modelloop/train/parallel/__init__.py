"""Training at once: functions go in, what each of many calls gave comes out as it comes."""
