"""The 86 kinds of bad input that real folders hold: what each is, what is decided, and which tests hold it up."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import NamedTuple

#: Functions that judge what is said (recording_fixtures).
CHECKERS = frozenset({"check_message", "check_note", "check_quality", "refused"})

#: Number, decision, what it is; below, its tests. R = that dyad-session is rejected, S = the part is skipped and
#: reported, C = corrected and reported, A = the run ends; ok, resume, rerun = nothing is lost.
TABLE = """
1 | R | empty file
    test_study_formats::test_empty_file
2 | S | EDF or BDF cut off
    test_study_formats::test_truncated_files_are_never_read_in_silence
    test_recording_files_eeg::test_up_to_one_percent_may_be_missing
3 | S/R | BrainVision data cut off
    test_study_formats::test_truncated_files_are_never_read_in_silence
    test_recording_files_brainvision::test_brainvision_cut_at_a_frame
4 | R | FIF cut off or a part missing
    test_recording_files_eeg::test_missing_part_of_a_split_fif
    test_study_formats::test_truncated_files_are_never_read_in_silence
5 | R | SNIRF or SET cut off
    test_study_formats::test_truncated_files_are_never_read_in_silence
6 | R | a part of the recording missing
    test_recording_files_brainvision::test_brainvision_parts
    test_recording_files_eeg::test_set_without_fdt
7 | R | header of another recording
    test_recording_files_brainvision::test_brainvision_parts
8 | R | wrong name ending
    test_study_formats::test_wrong_extension
9 | R | not downloaded
    test_study_formats::test_impostors
    test_study_formats::test_missing_file_and_dangling_link
    test_study_rows::test_a_link_to_data_that_was_not_downloaded_is_explained
10 | S | a partner's file missing
    test_study_rows::test_a_missing_file_is_explained
    test_bad_input_studies::test_check_lists_what_cannot_be_used
    test_bad_input_messages::test_a_row_that_cannot_be_used_is_named_with_its_remedy
11 | R | more than two people
    test_study_drafting_bids::test_l1_with_three_people_is_asked
    test_study_consistency::test_a_dyad_with_another_partner
    test_recording_xdf::test_three_streams_are_listed
    test_bad_input_messages::test_a_row_that_cannot_be_used_is_named_with_its_remedy
12 | R | one file for both
    test_recording_pairs::test_same_file_for_both
    test_study_rows::test_one_file_without_two_parts_is_refused
    test_study_rows::test_two_names_of_one_file_are_recognised
    test_bad_input_messages::test_a_row_that_cannot_be_used_is_named_with_its_remedy
13 | R | one person's data exported again
    test_recording_pairs::test_same_data_exported_again
    test_recording_pairs::test_copies_shifted_in_time
    test_recording_pairs::test_one_recording_in_both_groups_is_read_but_never_analysed
    test_recording_pairs::test_one_stream_under_two_names_is_never_analysed
    test_recording_pairs::test_raws_of_one_person_are_never_analysed
14 | R | one recording in two dyads
    test_study_consistency::test_one_recording_of_the_therapist_for_two_dyads
    test_study_findings::test_copies_are_found_by_content
    test_bad_input_studies::test_one_recording_under_two_names
    test_bad_input_messages::test_a_row_that_cannot_be_used_is_named_with_its_remedy
15 | S | roles exchanged in one session
    test_bad_input_signals::test_an_exchanged_session_is_found_by_its_fingerprint
16 | R | one session twice
    test_study_consistency::test_one_recording_for_two_sessions
    test_bad_input_studies::test_one_recording_under_two_names
    test_bad_input_messages::test_a_row_that_cannot_be_used_is_named_with_its_remedy
17 | R | dates against the order
    test_study_consistency::test_days_that_disagree_with_the_order
    test_bad_input_messages::test_a_row_that_cannot_be_used_is_named_with_its_remedy
18 | S | a session missing
    test_study_findings::test_each_finding
    test_bad_input_studies::test_a_design_as_therapies_are
    test_bad_input_reports::test_sessions_of_a_dyad
19 | S | one session only
    test_study_findings::test_each_finding
    test_growth_verdict::test_six_dyads_with_one_session_each_are_too_few
    test_bad_input_reports::test_sessions_of_a_dyad
20 | S | two sessions only
    test_study_findings::test_each_finding
    test_bad_input_reports::test_sessions_of_a_dyad
21 | C | unequal spacing
    test_study_findings::test_each_finding
    test_bad_input_studies::test_a_design_as_therapies_are
    test_bad_input_reports::test_sessions_of_a_dyad
22 | C | rates differ
    test_recording_align::test_different_rates_go_to_the_lower
    test_bad_input_reports::test_rates_that_differ
23 | C | rates almost equal
    test_recording_clock_sources::test_almost_equal_rates_are_a_drift
    test_bad_input_reports::test_rates_that_almost_agree
24 | C | lengths differ
    test_recording_align::test_offset_and_length
    test_bad_input_reports::test_lengths_that_differ
25 | R | no time in common
    test_recording_clock_sources::test_dates_prove_nothing_unless_they_are_real
    test_recording_clock_sources::test_clocks_that_cannot_be_used
26 | S | no believable date
    test_recording_clock_sources::test_dates_prove_nothing_unless_they_are_real
27 | R | time zone or daylight saving
    test_bad_input_clocks::test_an_hour_apart_although_the_recordings_overlap
28 | S | nothing to align by
    test_bad_input_clocks::test_two_files_without_a_clock_run_with_a_warning
    test_bad_input_clocks::test_nothing_is_prepared_on_no_clock
    test_recording_clock_sources::test_clocks_that_cannot_be_used
    test_recording_clock_sources::test_dates_prove_nothing_unless_they_are_real
29 | C | triggers missing, extra, bouncing
    test_recording_triggers::test_triggers_within_a_millisecond_and_a_ppm
    test_recording_triggers::test_bouncing_triggers_change_nothing
    test_recording_triggers::test_two_of_five_are_no_match
    test_recording_triggers::test_regular_triggers_with_missing_ones_are_refused
    test_bad_input_reports::test_triggers_without_a_partner
30 | C | trigger codes differ
    test_bad_input_clocks::test_codes_of_two_devices_differ
    test_bad_input_reports::test_codes_that_differ
31 | R | wrong event asked for
    test_recording_clock_sources::test_too_large_a_drift_and_a_wrong_event
    test_recording_read::test_start_stop_and_segment_event
32 | C | drift
    test_recording_triggers::test_triggers_within_a_millisecond_and_a_ppm
    test_recording_clock_sources::test_too_large_a_drift_and_a_wrong_event
33 | S | clock set anew or bent
    test_recording_align::test_a_reset_clock_leaves_a_marked_gap
    test_recording_triggers::test_a_drift_that_changes_is_followed
    test_recording_triggers::test_a_reset_in_the_middle_is_followed
    test_recording_triggers::test_a_stretch_without_partners_is_left_out
    test_bad_input_reports::test_a_clock_that_was_set_anew
    test_bad_input_reports::test_a_clock_that_bends
34 | S | XDF stamps jump
    test_recording_clock_sources::test_xdf_gap_drift_and_offset
    test_recording_timeline::test_jumps_and_gaps_are_found
    test_bad_input_reports::test_stamps_that_jump
35 | R | XDF streams of one name
    test_recording_xdf::test_xdf_streams_that_cannot_be
    test_recording_xdf::test_xdf_empty_stream_and_two_marker_streams
36 | S | XDF cut off or damaged
    test_recording_xdf::test_xdf_that_was_cut_off_is_used_as_far_as_it_goes
    test_recording_xdf::test_xdf_is_used_to_where_it_was_cut
    test_recording_xdf::test_xdf_chunks_that_cannot_be
37 | S | samples dropped
    test_recording_files_eeg::test_edf_plus_d_gaps_are_opened
    test_recording_read::test_boundaries_become_bad
    test_recording_snirf::test_snirf_gap_is_opened_and_marked
    test_recording_pauses::test_a_pause_of_known_length_is_put_back
    test_recording_pauses::test_a_pause_of_unknown_length_is_never_guessed
    test_recording_align::test_gaps_of_an_xdf_are_opened_beside_another_format
38 | S | flat channel
    test_recording_faults::test_bad_channel_is_found_alone
    test_metrics_contract::test_a_flat_channel_is_nan_never_zero
    test_bad_input_reports::test_a_flat_channel
39 | S | NaN or Inf
    test_recording_eeg::test_missing_samples_are_marked_for_that_person_only
    test_bad_input_reports::test_samples_without_a_value
40 | S | clipped
    test_recording_faults::test_saturation_and_dropouts_are_marked
    test_recording_quality::test_saturation_is_the_share_at_the_rail
    test_bad_input_reports::test_samples_at_a_rail
41 | R | all channels bad
    test_recording_eeg::test_all_bad_and_no_eeg_are_refused
    test_bad_input_reports::test_nothing_left
42 | R | everything marked as bad
    test_recording_prepare::test_floor_says_the_number_and_can_be_lifted
    test_bad_input_signals::test_marks_that_cover_everything
    test_bad_input_reports::test_nothing_left
43 | R | windows of too few cycles
    test_recording_prepare::test_windows_of_too_few_cycles_are_refused
    test_bad_input_reports::test_windows_of_too_few_cycles
44 | R/C | wrong unit
    test_recording_pairs::test_units
    test_recording_prepare::test_units
    test_bad_input_reports::test_units_of_records_made_by_hand
45 | R | intensity with haemoglobin
    test_recording_read::test_modalities
    test_recording_fnirs::test_mixed_levels_are_refused
46 | S | HbO only
    test_bad_input_signals::test_hbo_only_runs_with_a_note
    test_recording_fnirs::test_haemoglobin_input_skips_and_says_so
    test_bad_input_reports::test_haemoglobin_without_hbr
47 | R | wavelengths missing, swapped, different
    test_recording_wavelengths::test_wavelengths_that_cannot_be
    test_recording_wavelengths::test_swapped_wavelengths_are_refused
    test_recording_wavelengths::test_people_of_different_light_are_refused
    test_recording_wavelengths::test_wavelengths_in_another_order_are_refused
    test_recording_wavelengths::test_one_wavelength_for_one_person_is_refused
    test_recording_snirf::test_snirf_orphan_wavelength_goes_with_a_warning
    test_recording_light::test_one_wavelength_missing
    test_bad_input_reports::test_one_wavelength_of_a_channel
48 | S | intensity zero or negative
    test_recording_light::test_unusable_intensity_is_left_out
    test_bad_input_messages::test_a_negative_value_is_no_reading_fault
    test_bad_input_reports::test_intensity_that_cannot_be
49 | C | two SNIRF groups
    test_recording_snirf::test_snirf_groups
    test_recording_snirf::test_real_two_person_snirf
50 | S | no short channels, distance 0, mm for m
    test_bad_input_signals::test_a_channel_without_length_is_left_out
    test_recording_fnirs::test_no_short_channels_is_loud
    test_recording_light::test_distance_in_mm_zero_or_absent
    test_bad_input_messages::test_a_probe_in_mm_that_says_m
    test_bad_input_reports::test_distances_of_a_probe
51 | R | EEG with fNIRS
    test_recording_read::test_modalities
52 | C | names twice, old or in other case
    test_recording_eeg::test_names_aliases_and_order_are_reported
    test_recording_channels::test_typed_channels_and_duplicates
    test_bad_input_signals::test_names_twice_in_a_file
    test_recording_channels::test_connectors_are_no_electrodes
    test_bad_input_reports::test_names_order_and_montage
53 | C/S | other channels
    test_recording_eeg::test_different_channel_sets_are_never_intersected
    test_pipeline_plan::test_a_channel_that_one_session_lacks_is_used_in_none
    test_bad_input_reports::test_channels_that_the_other_person_lacks
    test_bad_input_reports::test_channels_that_one_session_lacks
54 | C | other order of channels
    test_recording_eeg::test_names_aliases_and_order_are_reported
    test_bad_input_reports::test_names_order_and_montage
55 | C | no montage, prefixed names
    test_recording_channels::test_names_become_standard
    test_recording_read::test_by_prefix
    test_bad_input_reports::test_names_order_and_montage
56 | S | other online filter
    test_recording_prepare::test_online_filter_that_cuts_the_primary_band_is_refused
    test_bad_input_reports::test_online_filters_that_differ
57 | C | epochs or averages
    test_recording_read::test_epochs_are_paired_by_event_sample
    test_recording_files_eeg::test_evoked_is_refused
    test_bad_input_studies::test_real_epochs_through_the_table
    test_bad_input_reports::test_epochs_that_are_paired
58 | A/R | broken table
    test_study_table::test_every_structural_fault_is_listed_at_once
    test_study_grid::test_a_broken_file_is_refused
    test_study_grid::test_separators_line_ends_and_byte_order_mark
    test_study_consistency::test_duplicate_keys
    test_study_drafting_bids::test_odd_participants_tables_do_no_harm
    test_bad_input_studies::test_a_broken_table_ends_with_code_2
    test_bad_input_messages::test_a_row_that_cannot_be_used_is_named_with_its_remedy
59 | R | pair with oneself, file in two dyads
    test_study_rows::test_a_bad_cell_rejects_its_row_only
    test_study_consistency::test_one_recording_of_the_therapist_for_two_dyads
    test_study_table::test_a_therapist_with_several_clients_is_normal
    test_bad_input_studies::test_a_person_with_herself
    test_bad_input_messages::test_a_row_that_cannot_be_used_is_named_with_its_remedy
60 | R | broken JSON sidecar
    test_recording_tables::test_table_without_or_with_a_wrong_sidecar
    test_recording_bids::test_a_broken_bids_sidecar
61 | A | configuration mistakes
    test_config::test_unusable_values_say_what_where_and_what_is_allowed
    test_bad_input_studies::test_a_band_beyond_nyquist
62 | ok/R | odd paths
    test_study_rows::test_odd_file_names_work
    test_study_rows::test_a_file_name_with_a_newline_works_when_quoted
    test_study_rows::test_composed_and_decomposed_letters_are_one_name
    test_bad_input_studies::test_recordings_of_odd_names_are_read
63 | R | ids that differ in case
    test_study_consistency::test_ids_that_differ_in_case_only
64 | S/R | link loops, links out of the study
    test_study_drafting_recordings::test_links_are_not_followed
    test_study_rows::test_paths_cannot_leave_the_study
65 | R | paths and ids that escape
    test_study_rows::test_paths_cannot_leave_the_study
66 | C | formulas
    test_study_table::test_formulas_are_neutralised_and_reported
67 | C | HTML in names
    test_report_build::test_payloads_are_inert
68 | A | YAML
    test_bad_input_studies::test_yaml_is_no_configuration
69 | R | pickled objects
    test_study_formats::test_impostors
    test_recording_tables::test_unreadable_object_matlab
70 | R | bombs and absurd claims
    test_study_formats::test_impostors
    test_recording_guard::test_header_that_claims_more_than_memory
    test_recording_matlab::test_matlab_that_unpacks_to_more_than_memory
    test_hdf5::test_hdf5_that_claims_more_than_memory
    test_hdf5::test_hdf5_heap_that_leads_in_a_circle
    test_recording_guard::test_damaged_bytes_never_end_in_a_traceback
71 | R | HDF5 links
    test_recording_snirf::test_snirf_links_are_not_followed
    test_hdf5::test_hdf5_loops_and_data_elsewhere
72 | A | disk full
    test_pipeline_run::test_a_full_disk_at_any_write
    test_pipeline_run::test_a_disk_fault_in_a_worker_ends_the_run
    test_storage::test_a_failing_disk_leaves_the_old_file
73 | resume | killed
    test_pipeline_run::test_killed_at_any_moment_it_goes_on
    test_storage::test_a_folder_appears_whole_or_not_at_all
74 | A | interrupted
    test_pipeline_run::test_ctrl_c_ends_everything
    test_pipeline_run::test_terminated_it_ends_with_143
    test_pipeline_workers::test_workers_end_with_their_parent
75 | A | two runs at once
    test_pipeline_lock::test_of_eight_at_once_one_wins
    test_pipeline_lock::test_stale_locks
76 | A/S | no permission
    test_pipeline_prepare::test_an_unreadable_input_is_left_out
    test_study_grid::test_an_unreadable_table_is_refused
77 | A | output inside the input
    test_pipeline_output::test_output_in_or_around_the_study_is_refused
    test_pipeline_output::test_a_folder_of_others_is_refused
78 | R | input changes during a run
    test_pipeline_prepare::test_an_input_that_changes_while_it_is_read_is_left_out
79 | ok | input read-only
    test_pipeline_run::test_inputs_stay_as_they_are
    test_bad_input_studies::test_a_study_that_cannot_be_written_to
80 | rerun | another configuration
    test_pipeline_stages::test_results_of_two_configurations_never_mix
81 | R | worker out of memory
    test_pipeline_stages::test_a_unit_that_kills_its_worker_is_left_out
82 | ok | no display, no home
    test_bad_input_studies::test_other_locales_and_no_home
83 | ok | no network
    test_bad_input_studies::test_checking_opens_no_socket
84 | ok | other locale
    test_bad_input_studies::test_other_locales_and_no_home
85 | C | rank-deficient data
    test_recording_eeg::test_reference_follows_the_size_of_the_cap
    test_bad_input_signals::test_average_reference_lacks_a_rank
    test_bad_input_reports::test_a_reference_that_takes_a_rank
86 | R | useless surrogates
    test_nulls_inference::test_useless_surrogates_are_refused
    test_nulls_lags::test_too_few_lags_are_all_used_with_a_warning
"""


class Case(NamedTuple):
    """One kind of bad input."""

    number: int
    decision: str
    what: str
    tests: tuple[str, ...]


def read_cases() -> list[Case]:
    """Read the table."""
    cases: list[Case] = []
    for line in TABLE.strip().splitlines():
        if line.startswith(" "):
            cases[-1] = cases[-1]._replace(tests=(*cases[-1].tests, line.strip()))
        else:
            number, decision, what = line.split(" | ")
            cases.append(Case(int(number), decision, what, ()))
    return cases


@cache
def calls_in(module: str) -> dict[str, frozenset[str]]:
    """Functions of a test module, and the names of what each one calls."""
    tree = ast.parse((Path(__file__).parent / f"{module}.py").read_text(encoding="utf-8"))
    aliases = {
        getattr(node.targets[0], "id", ""): node.value.attr
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Attribute)
    }
    return {
        node.name: frozenset(
            aliases.get(name, name)
            for call in ast.walk(node)
            if isinstance(call, ast.Call)
            for name in [getattr(call.func, "attr", getattr(call.func, "id", ""))]
        )
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
    }


def judged_by_message(number: int) -> bool:
    """Whether a test of this case gives what is said to a checker, itself or through a helper of its module."""
    case = next(case for case in read_cases() if case.number == number)
    return any(_reaches_checker(*name.split("::")) for name in case.tests)


def _reaches_checker(module: str, function: str, seen: frozenset[str] = frozenset()) -> bool:
    called = calls_in(module).get(function, frozenset()) - seen
    return bool(called & CHECKERS) or any(_reaches_checker(module, name, seen | called) for name in called)
