"""What the loop stands on; knows no stage: pure core, mathematics, facts and bytes, work described, work done."""
