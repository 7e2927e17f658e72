"""Routines that come with the package: what is measured about a learner while it trains."""

CATALOG = {
    "ClassificationScores": "trainwright.routines.classification:ClassificationScores",
    "RegressionScores": "trainwright.routines.regression:RegressionScores",
}
