"""What comes at the same moment, or in another order than one would think: jobs by pure functions, in every order."""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import permutations

import pytest
from video_jobs.jobs import transitions
from video_jobs.jobs.messages import Look, messages
from video_jobs.jobs.model import (
    Hint,
    Job,
    JobStatus,
    Request,
    RetryPolicy,
    StepFailed,
    StepRunning,
    StepStatus,
    StepSucceeded,
)

from tests.jobs.facts import (
    FAILURE,
    HINT,
    NOW,
    SUCCESS,
    Fact,
    after,
    announced,
    backed_off,
    canceled,
    claimed,
    ended,
    given_up,
    hinted,
    one_step,
    retried,
    submitted,
)
from tests.scripted import fault, new_job


def in_every_order(facts: Sequence[Fact]) -> Iterator[Job]:
    """The job after the facts in every order, and with each of them once more at the end."""
    for order in permutations(facts):
        job = after(one_step(), *order)
        yield job
        for again in facts:
            yield after(job, again)


# --- Success wins ----------------------------------------------------------------------------------------------------


def test_success_wins_in_every_order() -> None:
    facts = [claimed(), submitted(), backed_off(), ended(FAILURE), ended(SUCCESS), given_up(now=NOW + 10**6)]

    statuses = {(job.status, job.steps["upload"].status) for job in in_every_order(facts)}

    assert statuses == {(JobStatus.SUCCEEDED, StepStatus.SUCCEEDED)}


def test_success_of_an_earlier_attempt_wins_over_every_failure_of_a_later_one() -> None:
    facts = [claimed(), backed_off(), claimed(), ended(FAILURE, 2), ended(SUCCESS, 1)]

    assert {job.status for job in in_every_order(facts)} == {JobStatus.SUCCEEDED}


def test_a_canceled_job_stays_so_in_every_order_unless_it_had_ended() -> None:
    for order in permutations([claimed(), submitted(), ended(SUCCESS), hinted(), canceled]):
        job = after(one_step(), *order, ended(SUCCESS), hinted(), retried)

        done_first = order.index(canceled) > next(i for i, fact in enumerate(order) if _is(fact, SUCCESS))
        assert job.status == (JobStatus.SUCCEEDED if done_first else JobStatus.CANCELED)


def _is(fact: Fact, end: StepSucceeded) -> bool:
    return isinstance(fact, partial) and fact.keywords.get("end") is end


def test_a_success_that_follows_an_announced_failure_is_another_end() -> None:
    failed = after(one_step(), claimed(), ended(FAILURE), announced)

    succeeded = after(failed, ended(SUCCESS))

    assert (failed.ends, failed.announced, failed.due_at) == (1, 1, None)
    assert (succeeded.status, succeeded.ends, succeeded.announced) == (JobStatus.SUCCEEDED, 2, 1)
    assert succeeded.due_at == succeeded.ended_at


def test_what_was_announced_while_the_job_ended_anew_is_not_taken_for_the_new_end() -> None:
    failed = after(one_step(), claimed(), ended(FAILURE))
    anew = after(failed, ended(SUCCESS))

    assert transitions.announced(anew, failed.ends, now=NOW) is None
    assert not anew.is_announced


# --- Whose failure it is ---------------------------------------------------------------------------------------------


def test_a_failure_of_the_first_attempt_never_fails_the_second() -> None:
    second = after(one_step(), claimed(), backed_off(), claimed())

    assert transitions.step_ended(second, "upload", 1, FAILURE, now=NOW) is None


def test_a_failure_of_an_attempt_that_was_given_up_does_not_fail_a_step_that_waits_for_the_next() -> None:
    waiting = after(one_step(), claimed(), backed_off(wait=60))

    assert transitions.step_ended(waiting, "upload", 1, FAILURE, now=NOW) is None


def test_a_failure_of_an_attempt_that_a_restored_table_has_forgotten_counts() -> None:
    assert after(one_step(), claimed(), ended(FAILURE, 2)).status == JobStatus.FAILED


def test_the_platforms_answer_to_an_attempt_that_was_given_up_leaves_its_ids_and_nothing_else() -> None:
    second = after(one_step(), claimed(), claimed(now=NOW + 91_000))

    late = after(second, submitted(attempt=1))

    assert late.refs == ("p-1",)
    assert late.steps == second.steps


def test_two_workers_with_the_same_job_claim_it_once() -> None:
    first = after(one_step(), claimed())

    assert transitions.claimed(first, "upload", now=NOW, lease=90) is None
    assert transitions.claimed(first, "upload", now=NOW + 89_999, lease=90) is None
    assert transitions.claimed(first, "upload", now=NOW + 90_000, lease=90) is not None


def test_a_step_is_not_given_up_that_a_person_has_given_new_attempts() -> None:
    used_up = after(one_step(retry=RetryPolicy(max_attempts=1)), claimed(), backed_off())
    again = after(used_up, given_up(), announced, retried)

    assert transitions.given_up(again, "upload", fault(), now=NOW + 10**6) is None


# --- Canceled while it is asked for (F2) ------------------------------------------------------------------------------


def test_what_the_platform_accepts_of_a_canceled_job_leads_to_it_and_changes_nothing_else() -> None:
    job = after(one_step(), claimed(), canceled, submitted())

    assert (job.status, job.refs) == (JobStatus.CANCELED, ("p-1",))
    assert job.steps["upload"].platform_job_id == "p-1"
    assert job.ends == 1
    assert after(job, submitted()) is job, "once"


def test_what_the_platform_made_at_once_for_a_canceled_job_leads_to_it() -> None:
    job = after(one_step(), claimed(), canceled)

    assert transitions.step_ended(job, "upload", 1, SUCCESS, now=NOW) is None
    noted = transitions.refs_noted(job, SUCCESS.refs, now=NOW)
    assert noted is not None
    assert (noted.status, noted.refs) == (JobStatus.CANCELED, ("m-1",))


# --- Asked for again (F1, F3, F8) -------------------------------------------------------------------------------------


def test_what_keeps_us_from_asking_uses_up_no_attempt_however_often() -> None:
    job = one_step()
    for attempt in range(1, 30):
        job = after(job, claimed(), backed_off(attempt, counts=False))

    step = job.steps["upload"]
    assert (step.attempt, step.attempt_limit - step.attempt, step.spared) == (29, 3, 29)
    assert not after(job, claimed()).may_be_submitted_already("upload")


def test_a_second_try_that_reached_the_platform_may_be_submitted_already_and_has_the_same_key() -> None:
    first = after(one_step(), claimed())
    second = after(first, backed_off(), claimed())

    assert not first.may_be_submitted_already("upload")
    assert second.may_be_submitted_already("upload")
    assert first.submission_key("upload") == second.submission_key("upload")


def test_a_retry_of_what_the_platform_has_failed_is_another_submission_and_of_what_it_never_accepted_the_same() -> None:
    accepted = after(one_step(), claimed(), submitted(), ended(FAILURE), announced)
    unanswered = after(one_step(), claimed(), ended(FAILURE), announced)

    for failed, is_same in ((accepted, False), (unanswered, True)):
        again = after(failed, retried, claimed())
        assert (again.submission_key("upload") == failed.submission_key("upload")) is is_same
        assert again.may_be_submitted_already("upload") is is_same


def test_the_end_that_a_submits_own_answer_names_is_stored_once_however_often_it_is_tried() -> None:
    job = after(one_step(), claimed(), ended(SUCCESS))

    assert (job.status, job.refs, job.steps["upload"].result) == (JobStatus.SUCCEEDED, ("m-1",), {"id": "m-1"})
    assert after(job, ended(SUCCESS)) is job


# --- Adopted (F4) -----------------------------------------------------------------------------------------------------


def test_an_adopted_job_is_not_confirmed_before_its_platform_was_asked() -> None:
    job = transitions.adopted_by_hint("job-1", "apsaravideo", HINT, now=NOW, deadline_in=3600)

    assert (job.adopted, job.confirmed, job.status) == (True, False, JobStatus.RUNNING)
    assert messages(job) == (Look(provider="apsaravideo", job_id="job-1", due_at=NOW),)
    known = transitions.confirmed(job, now=NOW)
    assert known is not None
    assert known.confirmed
    assert transitions.confirmed(known, now=NOW) is None


def test_one_that_a_token_has_proven_needs_no_confirmation() -> None:
    job = transitions.adopted_by_end("job-1", "videodb", "upload", 2, SUCCESS, now=NOW)

    assert (job.adopted, job.confirmed, job.status, job.ends) == (True, True, JobStatus.SUCCEEDED, 1)


def test_nobody_retries_what_we_did_not_start() -> None:
    job = after(transitions.adopted_by_end("job-1", "videodb", "upload", 1, FAILURE, now=NOW), announced)

    assert job.status == JobStatus.FAILED
    assert transitions.retried(job, now=NOW) is None


def test_more_steps_of_an_adopted_job_are_adopted_too_and_those_of_a_job_of_ours_never() -> None:
    job = transitions.adopted_by_end("job-1", "videodb", "upload", 1, SUCCESS, now=NOW)
    more = transitions.step_adopted(job, "index_scenes", 1, now=NOW)
    assert more is not None

    failed = after(more, ended(FAILURE, name="index_scenes"))

    assert (failed.status, failed.ends, failed.plan) == (JobStatus.FAILED, 2, ("upload", "index_scenes"))
    assert transitions.step_adopted(after(one_step(), claimed(), ended(SUCCESS)), "index_scenes", 1, now=NOW) is None


# --- Retry (F9) -------------------------------------------------------------------------------------------------------


def test_a_failure_that_is_not_announced_cannot_be_retried_or_it_would_never_be() -> None:
    failed = after(one_step(), claimed(), ended(FAILURE))

    assert transitions.retried(failed, now=NOW) is None
    again = after(failed, announced, retried)
    assert (again.status, again.ends, again.announced) == (JobStatus.RUNNING, 1, 1)
    assert after(again, claimed(), ended(FAILURE, 2)).ends == 2


def test_a_retry_takes_the_job_out_of_its_batchs_count_and_the_next_end_puts_it_there_again() -> None:
    failed = after(one_step(batch_id="batch-1"), claimed(), ended(FAILURE), announced)
    assert failed.counted == "failed/download_failed"

    again = after(failed, retried)
    assert again.counted is None

    assert after(again, claimed(), ended(SUCCESS, 2), announced).counted == "succeeded"


# --- Hints ------------------------------------------------------------------------------------------------------------


def test_a_hint_that_is_faster_than_the_platforms_answer_has_it_polled_at_once() -> None:
    job = after(one_step(), claimed(), hinted(), submitted())

    assert job.steps["upload"].wake_at == NOW
    assert job.due_at == NOW


@pytest.mark.parametrize("wait", [0, 60])
def test_a_hint_does_not_cut_a_backoff_or_a_lease_short(wait: int) -> None:
    submitting = after(one_step(), claimed())
    waiting = after(submitting, backed_off(wait=wait))

    for job in (submitting, waiting):
        assert after(job, hinted()).due_at == job.due_at


def test_a_hint_that_comes_while_the_platform_is_asked_is_looked_into_as_well() -> None:
    asked = after(one_step(), claimed(), submitted(), hinted())
    seen = asked.steps["upload"]
    other = Hint(ref="p-1", step="upload", part="other", word="ready")

    for answer in (
        partial(transitions.polled, running=StepRunning(), wake_in=900),
        partial(transitions.hint_followed, running=StepRunning(progress=0.5), wake_in=900),
    ):
        job = after(asked, hinted(other), partial(answer, name="upload", seen=seen, now=NOW))
        assert (job.steps["upload"].hinted, job.due_at) == (True, NOW)


def test_only_good_hints_of_what_has_failed_are_looked_into() -> None:
    failed = after(one_step(), claimed(), submitted(), ended(FAILURE), announced)
    bad = Hint(ref="p-1", step="upload", part="status", word="fail")

    assert failed.due_at is None
    assert after(failed, hinted(bad)) is failed
    assert after(failed, hinted()).due_at == NOW
    assert after(failed, hinted(), hinted()).steps["upload"].hints == {"status": "success"}


def test_a_hint_about_another_id_than_the_steps_says_nothing() -> None:
    running = after(one_step(), claimed(), submitted())
    other = Hint(ref="p-2", step="upload", part="status", word="success", good=True)

    assert after(running, hinted(other)) is running


def test_what_the_platform_did_although_all_its_answers_were_lost_wins_in_the_end() -> None:
    lost = after(one_step(), claimed(), ended(StepFailed(error=fault("platform_unavailable"))), announced)

    job = after(lost, hinted())

    assert (job.due_at, job.steps["upload"].platform_job_id) == (NOW, "p-1")  # so it can be asked after


def test_a_failure_that_the_platform_takes_back_runs_again_and_is_looked_at() -> None:
    failed = after(one_step(batch_id="b"), claimed(), submitted(), ended(FAILURE), announced, hinted())
    resumed = partial(
        transitions.resumed, name="upload", seen=failed.steps["upload"], running=StepRunning(), now=NOW, deadline_in=60
    )

    job = after(failed, resumed)

    assert (job.status, job.counted, job.ended_at, job.due_at) == (JobStatus.RUNNING, None, None, NOW)
    assert job.steps["upload"].deadline_at == NOW + 60_000


def test_an_end_that_is_taken_back_before_it_was_announced_is_none() -> None:
    failed = after(one_step(), claimed(), submitted(), ended(FAILURE), hinted())
    resumed = partial(
        transitions.resumed, name="upload", seen=failed.steps["upload"], running=StepRunning(), now=NOW, deadline_in=60
    )

    job = after(failed, resumed, ended(SUCCESS))

    assert (job.ends, job.announced) == (2, 1)


def test_a_failure_that_stands_is_asked_after_once_more_if_the_platform_lags_and_then_not_again() -> None:
    failed = after(one_step(), claimed(), submitted(), ended(FAILURE), announced, hinted())
    stands = partial(transitions.failure_stands, name="upload", seen=failed.steps["upload"], now=NOW)

    later = after(failed, partial(stands, ask_again_in=30))

    assert later.due_at == NOW + 30_000
    assert after(later, stands).due_at is None
    assert after(later, stands).ends == failed.ends


# --- What is sent -----------------------------------------------------------------------------------------------------


def test_a_batchs_jobs_that_have_not_begun_let_others_pass() -> None:
    job = one_step(batch_id="batch-1")

    assert [look.group for look in messages(job)] == ["batch-1"]
    assert [look.group for look in messages(after(job, claimed()))] == [None]
    assert [look.group for look in messages(one_step(label="batch-1"))] == [None]


def test_an_end_is_due_at_once_and_until_it_was_announced() -> None:
    job = after(one_step(), claimed(), ended(FAILURE))

    assert [look.due_at for look in messages(job)] == [NOW]
    assert messages(after(job, announced)) == ()


def test_steps_that_do_not_apply_are_passed_over_as_far_as_they_have_not_begun() -> None:
    job = after(new_job(), claimed(), ended(SUCCESS))
    skipped = partial(transitions.skipped, now=NOW)

    over = after(job, partial(skipped, names=job.plan[1:]))

    assert (over.status, over.ends) == (JobStatus.SUCCEEDED, 1)
    assert {step.status for step in over.steps.values()} == {StepStatus.SUCCEEDED, StepStatus.SKIPPED}
    begun = after(job, claimed("index_spoken_words"), partial(skipped, names=job.plan[1:]))
    assert begun.steps["index_spoken_words"].status == StepStatus.SUBMITTING
    assert begun.status == JobStatus.RUNNING


def test_a_medium_that_a_step_has_made_leads_to_the_job() -> None:
    job = after(one_step(), partial(transitions.medium_noted, media_id="m-9", now=NOW))

    assert (job.media_id, job.refs) == ("m-9", ("m-9",))
    assert transitions.medium_noted(job, "m-9", now=NOW) is None


def test_a_job_for_a_medium_that_the_platform_has_follows_it_from_the_start() -> None:
    job = transitions.created("job-1", "videodb", ["index_scenes"], Request(media_id="m-1"), now=NOW)

    assert (job.media_id, job.refs, job.status, job.due_at) == ("m-1", ("m-1",), JobStatus.PENDING, NOW)
