from tarn.training.recipe.early_stop import EarlyStop


def after(patience: int | None, *scores: float | None) -> EarlyStop:
    found = EarlyStop(patience)
    for score in scores:
        found = found.observed(score)
    return found


def test_a_run_is_over_after_so_many_epochs_in_a_row_without_a_better_score() -> None:
    assert not after(2, 0.1, 0.3, 0.3).is_over
    assert after(2, 0.1, 0.3, 0.3, 0.2).is_over
    assert not after(2, 0.1, 0.3, 0.3, 0.31, 0.31).is_over
    assert after(1, 0.5, 0.5).is_over
    assert "epoch 1: one epoch without a better validation top-1 than 50.00%." in after(1, 0.5, 0.5).told(1)


def test_a_validation_without_a_score_is_no_better_one() -> None:
    assert after(2, 0.5, None, None).is_over
    assert after(2, None, None).told(4) == (
        "The run stopped early at epoch 4: 2 epochs in a row without a better validation top-1 than 0.00%. "
        "To go on, raise optim.early_stop."
    )


def test_of_an_average_the_sentence_says_whose_score_it_is() -> None:
    stop = EarlyStop(1, is_averaged=True).observed(0.5).observed(0.5)
    assert "one epoch without a better validation top-1 of the averaged weights than 50.00%." in stop.told(1)


def test_without_patience_nothing_is_over() -> None:
    assert not after(None, 0.5, *[0.1] * 50).is_over
