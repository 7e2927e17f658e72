"""Routines that come with the package: what is measured about a learner while it trains."""

CATALOG = {
    "ClassificationScores": "trainwright.routines.classification:ClassificationScores",
    "EmbeddingScores": "trainwright.routines.embedding:EmbeddingScores",
    "MultiLabelScores": "trainwright.routines.multilabel:MultiLabelScores",
    "RegressionScores": "trainwright.routines.regression:RegressionScores",
    "SegmentationScores": "trainwright.routines.segmentation:SegmentationScores",
}
