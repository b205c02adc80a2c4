"""What happens to artefacts after they were made: deletion when their time is over, and erasure of subjects."""
