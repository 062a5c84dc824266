"""Each fault planted into a copy of the library makes a test of that copy fail.

Without this, a test that checks nothing would look like one that passes. A fault is what one
pattern of the syntax becomes, so that neither comments nor line breaks matter, nor what it does
not name: in a pattern, ``any_name`` stands for any expression, ``*any_name`` and ``**any_name``
for all other arguments, and the fault may use them again.
"""

from __future__ import annotations

import ast
import copy
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parent.parent


class Fault(NamedTuple):
    """What to write for which pattern, in which module, and the test that must notice.

    Attributes:
        module: where, below ``gan_course``.
        old: an expression or a statement that is there once.
        new: what to write for it; statements, if it is one.
        test: the test.
        within: the function in which to look; in the whole module, if none is named.
    """

    module: str
    old: str
    new: str
    test: str
    within: str = ""


FAULTS = {
    "generator's sign flipped in the loss": Fault(
        "losses.py",
        "return F.softplus(-fake_logits).mean(dim=-1)",
        "return -F.softplus(-fake_logits).mean(dim=-1)",
        "test_losses.py::test_loss_is_its_equation_for_each_run",
    ),
    "generator's sign flipped in the trainer": Fault(
        "training/step.py",
        "loss = objective.generator(None, *any_fake)",
        "loss = -objective.generator(None, *any_fake)",
        "test_training.py::test_step_is_algorithm_1_bit_for_bit",
    ),
    "detach forgotten": Fault(
        "training/step.py",
        "torch.no_grad()",
        "torch.enable_grad()",
        "test_training.py::test_discriminator_step_does_not_look_through_the_generator",
        "discriminator_step",
    ),
    "k ignored": Fault(
        "training/trainer.py",
        "range(settings.k)",
        "range(1)",
        "test_training.py::test_discriminator_moves_k_times_and_generator_once",
    ),
    "mean taken over runs in a loss": Fault(
        "losses.py",
        "return -fake_logits.mean(dim=-1)",
        "return -fake_logits.mean().expand(len(fake_logits))",
        "test_losses.py::test_runs_do_not_mix",
    ),
    "mean taken over runs in the trainer": Fault(
        "training/step.py",
        "torch.autograd.grad(loss, player.leaves, self.ones)",
        "torch.autograd.grad(loss, player.leaves, self.ones / state.runs)",
        "test_training.py::test_run_i_follows_the_plain_network[plain-mlp]",
    ),
    "penalty without its factor": Fault(
        "penalties.py",
        "return norm.square() / 2",
        "return norm.square()",
        "test_penalties.py::test_linear_critic_pays_for_its_slope_alone",
    ),
    "penalty without its weight": Fault(
        "training/step.py",
        "weight * penalty.charged(*any_at)",
        "penalty.charged(*any_at)",
        "test_training.py::test_penalty_is_added_with_its_weight",
    ),
    "fake half of D's loss dropped": Fault(
        "losses.py",
        "F.softplus(-real_logits).mean(dim=-1) + F.softplus(fake_logits).mean(dim=-1)",
        "F.softplus(-real_logits).mean(dim=-1)",
        "test_losses.py::test_loss_is_its_equation_for_each_run",
    ),
    "callback never called": Fault(
        "training/trainer.py",
        "callback(self)",
        "pass",
        "test_training.py::test_callback_is_called_after_each_step",
    ),
    "callback's exception swallowed": Fault(
        "training/trainer.py",
        "callback(self)",
        "with __import__('contextlib').suppress(Exception):\n    callback(self)",
        "test_training.py::test_an_exception_in_a_callback_ends_the_training",
    ),
    "a bad loss let through": Fault(
        "training/step.py",
        "any_finite < math.inf",
        "torch.ones_like(any_finite, dtype=torch.bool)",
        "test_training.py::test_a_bad_loss_never_reaches_the_weights",
        "descend",
    ),
    "a frozen run moves on": Fault(
        "training/state.py",
        "tensor.copy_(torch.where(frozen_in(frozen, tensor), old, tensor))",
        "pass",
        "test_training.py::test_a_frozen_run_keeps_its_last_good_state",
    ),
    "Adam moves a copy of the weights": Fault(
        "training/state.py",
        "slot.held.data = next(parts).view(slot.held.shape)",
        "slot.held.data = next(parts).reshape(slot.held.shape).clone()",
        "test_training.py::test_rates_belong_to_their_players",
    ),
    "a block moves a copy of the weights": Fault(
        "training/state.py",
        "self.weights[rows].detach().requires_grad_()",
        "self.weights[rows].detach().clone().requires_grad_()",
        "test_programs.py::test_an_ensemble_in_blocks_is_the_ensemble",
    ),
    "Adam's count goes on after a refused update": Fault(
        "training/state.py",
        "held = (self.weights, self.count, *self.moments)",
        "held = (self.weights, *self.moments)",
        "test_remedies.py::test_adams_count_is_that_of_the_updates_made",
    ),
    "packing after joining real and generated": Fault(
        "training/step.py",
        "return any_none if real is None else pack(real, packing), pack(fake, packing)",
        "if real is None:\n"
        "    return real, pack(fake, packing)\n"
        "return pack(torch.stack([real, fake], 2).flatten(1, 2), packing).chunk(2, "
        "dim=1)",
        "test_remedies.py::test_a_pack_is_all_real_or_all_generated",
    ),
    "the features of a pack in turn": Fault(
        "training/draws.py",
        "return x.reshape(x.shape[0], -1, packing * features, *x.shape[3:])",
        "return x.unflatten(1, (-1, packing)).transpose(2, 3).flatten(2, 3)",
        "test_remedies.py::test_a_pack_is_its_samples_side_by_side",
    ),
    "a weight between packs for each sample": Fault(
        "training/draws.py",
        "mix = mixing_weights(any_packs, self.random)",
        "mix = pack(mixing_weights(real, self.random).expand_as(real), settings.packing)",
        "test_remedies.py::test_wgan_gp_looks_between_packs_with_one_weight_each",
    ),
    "real and generated share a batch": Fault(
        "training/step.py",
        "apart or self.apart",
        "apart",
        "test_remedies.py::test_real_and_generated_never_share_a_batch",
    ),
    "spread with n - 1": Fault(
        "networks.py",
        "x.var(dim=0, correction=0)",
        "x.var(dim=0, correction=1)",
        "test_networks.py::test_the_last_layer_sees_the_spread_of_its_batch",
    ),
    "unrolling that does not bring D back": Fault(
        "training/step.py",
        "return ahead(weights)",
        "player.weights.copy_(weights.detach())\nreturn ahead(weights)",
        "test_remedies.py::test_looking_ahead_leaves_the_discriminator_where_it_is",
    ),
    "unrolling that moves D's buffers": Fault(
        "training/state.py",
        "{name: buffer.clone() for name, buffer in named}",
        "{name: buffer for name, buffer in named}",
        "test_remedies.py::test_looking_ahead_leaves_the_discriminator_where_it_is",
    ),
    "unrolling without its second derivative": Fault(
        "training/step.py",
        "gradient = bounded(any_it, settings.gradient_clip)",
        "gradient = gradient.detach() + 0 * weights",
        "test_remedies.py::test_unrolled_gradient_is_the_finite_difference",
        "unrolled",
    ),
    "unrolling without clipping": Fault(
        "training/step.py",
        "weights = weights.clamp(-settings.clip, settings.clip)",
        "pass",
        "test_remedies.py::test_unrolled_gradient_is_the_finite_difference",
    ),
    "clipping on one side": Fault(
        "training/state.py",
        "self.weights.clamp_(-clip, clip)",
        "self.weights.clamp_(max=clip)",
        "test_remedies.py::test_every_weight_of_the_discriminator_is_within_its_bound_after_each_step",
    ),
    "clipping after a refused update": Fault(
        "training/state.py",
        "tensor.copy_(torch.where(frozen_in(*any_args), old, tensor))",
        "tensor.copy_(torch.where(frozen_in(*any_args), old, tensor))\n"
        "if clip:\n"
        "    self.weights.clamp_(-clip, clip)",
        "test_remedies.py::test_a_step_that_is_refused_clips_nothing",
    ),
    "real and generated with the same instance noise": Fault(
        "training/draws.py",
        "real = real + self._blur(settings)",
        "seen = self.random.get_state()\n"
        "real = real + self._blur(settings)\n"
        "self.random.set_state(seen)",
        "test_remedies.py::test_all_that_the_discriminator_sees_has_noise_of_its_own",
    ),
    "the generator judged without instance noise": Fault(
        "training/draws.py",
        "self._blur(settings) if any_noisy else None",
        "None",
        "test_remedies.py::test_all_that_the_discriminator_sees_has_noise_of_its_own",
        "generator",
    ),
    "every run at the rate of the first": Fault(
        "training/optimisers.py",
        "return torch.tensor(rates, **any_kind).unsqueeze(-1)",
        "rates = [[one[0]] * len(one) for one in rates]\n"
        "return torch.tensor(rates, device=device).unsqueeze(-1)",
        "test_remedies.py::test_each_run_learns_at_its_own_rate",
    ),
    "a schedule one step ahead": Fault(
        "training/settings.py",
        "value(step)",
        "value(step + 1)",
        "test_remedies.py::test_a_schedule_sets_the_rate_of_each_step",
    ),
    "a ring that doubles a mode": Fault(
        "distributions.py",
        "torch.arange(modes) * (2 * math.pi / modes)",
        "torch.linspace(0, 2 * math.pi, modes)",
        "test_distributions.py::test_ring_has_eight_distinct_modes_evenly_spaced",
    ),
    "a cost clamped on both sides": Fault(
        "losses.py",
        "fake_logits.clamp(max=EXP_CAP)",
        "fake_logits.clamp(-EXP_CAP, EXP_CAP)",
        "test_losses.py::test_values_and_slopes_far_out[generator-maximum likelihood]",
    ),
    "a uniform prior on [0, 1]": Fault(
        "distributions.py",
        "Uniform(-torch.ones(dim), torch.ones(dim))",
        "Uniform(torch.zeros(dim), torch.ones(dim))",
        "test_distributions.py::test_the_constants_of_targets_and_priors",
    ),
    "a ring that starts half a mode later": Fault(
        "distributions.py",
        "torch.arange(modes)",
        "torch.arange(modes) + 0.5",
        "test_distributions.py::test_the_constants_of_targets_and_priors",
        "ring",
    ),
    "a spiral with another turn": Fault(
        "distributions.py",
        "angle = 2 * math.pi * turns * t",
        "angle = 2 * math.pi * (turns + 1) * t",
        "test_distributions.py::test_the_constants_of_targets_and_priors",
    ),
    "one dropout mask for all runs": Fault(
        "networks.py",
        'vmap(any_one, randomness="different")',
        'vmap(any_one, randomness="same")',
        "test_networks.py::test_dropout_masks_differ_between_runs",
    ),
    "an ensemble without its hooks": Fault(
        "networks.py",
        "any_linear and any_biased and any_ranked and not _hooked(module)",
        "any_linear and any_biased and any_ranked",
        "test_networks.py::test_a_hook_of_an_ensemble_is_called",
        "_apply",
    ),
    "masses unchecked where the result is infinite": Fault(
        "quadrature.py",
        "_check_masses(what, totals)",
        "if not sign and abs(totals[3]) <= INFINITE_MASS:\n    _check_masses(what, totals)",
        "test_quadrature.py::test_masses_are_checked_before_an_infinity_is_believed",
    ),
    "a declared support believed": Fault(
        "densities.py",
        "type(source) is TransformedDistribution",
        "False",
        "test_quadrature.py::test_kl_of_awkward_laws[a chain]",
        "_ends",
    ),
    "normal weights in WGAN-GP": Fault(
        "penalties.py",
        "torch.rand(shape, **any_kind)",
        "torch.randn(shape, **any_kind)",
        "test_penalties.py::test_wgan_gp_weights_are_uniform_and_one_for_each_sample",
    ),
    "one weight of WGAN-GP for a whole batch": Fault(
        "penalties.py",
        "torch.rand(shape, generator=generator, device=real.device, dtype=real.dtype)",
        "torch.rand(shape[0], *[1] * (real.dim() - 1), generator=generator, dtype=real.dtype)",
        "test_penalties.py::test_wgan_gp_weights_are_uniform_and_one_for_each_sample",
    ),
    "Jensen-Shannon without its halves": Fault(
        "theory.py",
        "return any_whole / 2",
        "return any_whole",
        "test_theory.py::test_fact_2_the_value_at_the_optimum",
        "_js_density",
    ),
    "arguments of KL swapped": Fault(
        "theory.py",
        "times(lp, lp - lq)",
        "times(lq, lq - lp)",
        "test_theory.py::test_kl_equals_its_closed_form",
    ),
    "D* inverted": Fault(
        "theory.py",
        "real - fake",
        "fake - real",
        "test_theory.py::test_fact_12_equal_covariance_is_logistic_regression",
        "optimal_discriminator",
    ),
    "maximum-likelihood cost with log in place of exp": Fault(
        "theory.py",
        "return torch.where(log_q == -math.inf, 0.0, -log_p.exp())",
        "return times(log_q, -(log_p - log_q).log())",
        "test_theory.py::test_fact_5_the_maximum_likelihood_cost_is_always_minus_one",
    ),
    "quadrature that misses a far mode": Fault(
        "densities.py",
        'parts = _ask(source, "component_distribution")',
        "parts = None",
        "test_theory.py::test_the_far_mode_is_found",
    ),
    "simultaneous and alternating swapped": Fault(
        "dynamics.py",
        '{"simultaneous": simultaneous, "alternating": alternating}',
        '{"simultaneous": alternating, "alternating": simultaneous}',
        "test_dynamics.py::test_who_sees_what",
    ),
    "HQ measured in two standard deviations": Fault(
        "metrics/samples.py",
        "distance <= 3 * std",
        "distance <= 2 * std",
        "test_metrics.py::test_coverage_is_the_brute_force_count[0.01]",
    ),
    "modes counted without the HQ filter": Fault(
        "metrics/samples.py",
        "tally(near) > 0",
        "share > 0",
        "test_metrics.py::test_a_far_mode_needs_a_good_sample_to_count",
    ),
    "sliced Wasserstein without sorting": Fault(
        "metrics/samples.py",
        "points.sort(dim=0).values",
        "points",
        "test_metrics.py::test_sliced_wasserstein_is_scipys_on_a_line[50-50]",
    ),
    "Fréchet distance without the matrix root": Fault(
        "metrics/features.py",
        "torch.linalg.eigvalsh(product).clamp(min=0).sqrt()",
        "torch.linalg.eigvalsh(product).clamp(min=0)",
        "test_features.py::test_frechet_distance_of_gaussians_is_the_closed_form",
    ),
    "Fréchet distance with a biased covariance": Fault(
        "metrics/features.py",
        "any_product / (points.shape[1] - 1)",
        "any_product / points.shape[1]",
        "test_features.py::test_frechet_distance_is_scipys_matrix_root",
    ),
    "features in training mode": Fault(
        "metrics/classifier.py",
        "self.network.eval()",
        "self.network.train()",
        "test_classifier.py::test_a_picture_alone_has_the_features_that_it_has_among_others",
    ),
    "precision and recall swapped": Fault(
        "metrics/features.py",
        "PrecisionRecall(_inside(x, y, k), _inside(y, x, k))",
        "PrecisionRecall(_inside(y, x, k), _inside(x, y, k))",
        "test_features.py::test_half_of_the_classes_missing_costs_recall_not_precision",
    ),
    "generated and real normalised differently": Fault(
        "metrics/classifier.py",
        "classifier.features(real)",
        "classifier.features((real + 1) / 2)",
        "test_classifier.py::test_other_real_pictures_are_the_ceiling_of_every_measure",
    ),
    "memorisation tested on the training half": Fault(
        "metrics/features.py",
        "torch.cat([train, held_out])",
        "torch.cat([train, train[: len(held_out)]])",
        "test_features.py::test_a_law_that_knows_nothing_is_caught_as_often_as_the_level",
    ),
    "augmentation of real pictures only": Fault(
        "augmentation.py",
        "x = KINDS[kind](x)",
        "x = torch.cat([KINDS[kind](x[: len(x) // 2]), x[len(x) // 2 :]])",
        "test_augmentation.py::test_real_and_generated_pictures_are_changed_alike",
    ),
    "augmentation by a chance that no seed fixes": Fault(
        "training/setups.py",
        "getattr(module, 'draws', False)",
        "False",
        "test_augmentation.py::test_a_training_with_it_is_repeated_by_its_seed",
    ),
    "stacked labels in the wrong base": Fault(
        "images/stacked.py",
        "100 * red + 10 * green + blue",
        "81 * red + 9 * green + blue",
        "test_images.py::test_the_digits_of_a_stack_are_its_label_in_base_ten",
    ),
    "an interrupted training kept by a sweep": Fault(
        "sweeps.py",
        "taken < steps",
        "False",
        "test_sweeps.py::test_an_interrupted_cell_is_not_kept",
    ),
    "eigenvalues of the wrong block": Fault(
        "dynamics.py",
        "[*of_G, *of_D]",
        "[*of_G, *of_G]",
        "test_dynamics.py::test_the_spectrum_of_the_dirac_gan_as_a_real_gan",
    ),
    "the lab's surface transposed": Fault(
        "lab/scene.py",
        "self._logits(torch.cartesian_prod(axis, axis)).reshape(GRID, GRID).T",
        "self._logits(torch.cartesian_prod(axis, axis)).reshape(GRID, GRID)",
        "test_lab_scene.py::test_the_surface_has_d_s_answer_at_every_point",
    ),
    "the lab's D* transposed": Fault(
        "lab/scene.py",
        "shown.reshape(CELLS, CELLS).T",
        "shown.reshape(CELLS, CELLS)",
        "test_lab_scene.py::"
        "test_d_star_is_high_at_the_data_and_low_at_what_is_generated[minimax-0.99]",
    ),
    "the lab's D* with its laws exchanged": Fault(
        "lab/scene.py",
        "self.best(p, q)",
        "self.best(q, p)",
        "test_lab_scene.py::test_d_star_between_two_laws_is_their_share_of_the_mass",
        "truth",
    ),
    "the data's cells transposed": Fault(
        "lab/scene.py",
        '"k,kx,ky->xy"',
        '"k,kx,ky->yx"',
        "test_lab_scene.py::test_the_shares_are_sorted_by_both_axes[mixture]",
    ),
    "the generated cells transposed": Fault(
        "lab/scene.py",
        "index[:, 0] * CELLS + index[:, 1]",
        "index[:, 1] * CELLS + index[:, 0]",
        "test_lab_scene.py::test_the_shares_are_sorted_by_both_axes[mixture]",
    ),
    "arrows up the generator's loss": Fault(
        "lab/scene.py",
        "torch.cat([x.detach(), -slope], dim=1)",
        "torch.cat([x.detach(), slope], dim=1)",
        "test_lab_scene.py::test_an_arrow_is_a_sample_and_its_pull",
    ),
    "arrows of other samples": Fault(
        "lab/scene.py",
        "self.fake[:arrows]",
        "self.fake[arrows : 2 * arrows]",
        "test_lab_scene.py::test_an_arrow_is_a_sample_and_its_pull",
        "_arrows",
    ),
    "the mesh transposed": Fault(
        "lab/scene.py",
        "mesh.reshape(MESH, MESH, 2)",
        "mesh.reshape(MESH, MESH, 2).transpose(0, 1)",
        "test_lab_scene.py::test_the_mesh_is_the_grid_of_z_sent_through_g",
    ),
    "real and generated exchanged in the lab's measures": Fault(
        "lab/scene.py",
        "real, fake = self.scores",
        "fake, real = self.scores",
        "test_lab_scene.py::test_the_measures_are_those_of_the_samples_drawn",
        "measures",
    ),
    "a drawing with its axes exchanged": Fault(
        "lab/scene.py",
        "drawn(place, **any_width)",
        "drawn(place.flip(1), **any_width)",
        "test_lab_scene.py::test_what_is_drawn_by_hand_is_where_it_was_drawn",
    ),
    "a wall of other runs": Fault(
        "lab/scene.py",
        "samples = trainer.sample(THUMBNAIL)",
        "samples = trainer.sample(THUMBNAIL).roll(1, dims=0)",
        "test_lab_scene.py::test_each_row_of_the_wall_is_that_run_s",
    ),
    "the main view of the first run": Fault(
        "lab/lab.py",
        "Scene.of(self.trainer, self.run_shown)",
        "Scene.of(self.trainer)",
        "test_lab_scene.py::test_all_that_is_said_in_front_of_a_wall_is_of_the_lifted_run",
        "frame",
    ),
    "the curves of the first run": Fault(
        "lab/lab.py",
        "self.curves[self.run_shown]",
        "self.curves[0]",
        "test_lab_scene.py::test_all_that_is_said_in_front_of_a_wall_is_of_the_lifted_run",
        "frame",
    ),
    "every run with the first one's numbers": Fault(
        "lab/lab.py",
        "column[run]",
        "column[0]",
        "test_lab_scene.py::test_all_that_is_said_in_front_of_a_wall_is_of_the_lifted_run",
    ),
    "the still picture with the first run's scores": Fault(
        "lab/lab.py",
        "Scene.of(self.trainer, self.run_shown).scores",
        "Scene.of(self.trainer).scores",
        "test_lab_scene.py::test_the_still_picture_is_of_the_lifted_run",
    ),
    "slow motion of the first run": Fault(
        "lab/slow.py",
        "batch[run]",
        "batch[0]",
        "test_lab_scene.py::test_slow_motion_in_front_of_a_wall_is_of_the_lifted_run",
    ),
    "the still picture upside down": Fault(
        "lab/still.py",
        'arrays["belief"].T.flatten()',
        'arrays["belief"].flip(0).T.flatten()',
        "test_still.py::test_the_plane_shows_samples_and_belief",
    ),
    "real and generated exchanged in the still picture": Fault(
        "lab/still.py",
        'plot_samples(ax, arrays.get("real"), arrays.get("fake"), window)',
        'plot_samples(ax, arrays.get("fake"), arrays.get("real"), window)',
        "test_still.py::test_the_plane_shows_samples_and_belief",
    ),
    "a speed applied twice": Fault(
        "lab/driver.py",
        "max(self._due, now - PACE) + 1 / self.speed",
        "max(self._due, now - PACE) + 2 / self.speed",
        "test_lab_scene.py::test_a_speed_is_the_number_of_steps_in_a_second[100.0]",
    ),
    "a command hidden by an acknowledgement": Fault(
        "lab/driver.py",
        "changed |= command() is not False",
        "changed = command() is not False",
        "test_live.py::test_an_acknowledgement_hides_no_command",
    ),
    "a move forgotten while no picture is wanted": Fault(
        "lab/driver.py",
        "self._changed |= asked",
        "self._changed = asked",
        "test_driver.py::test_what_was_asked_for_while_no_picture_was_wanted_is_shown_once_one_is",
    ),
    "a tenth of D's rate for both": Fault(
        "lab/lab.py",
        "self.values[name] / 10",
        "self.values[RATES[0]] / 10",
        "test_live.py::test_the_remedy_is_a_tenth_of_each_rate_by_itself",
    ),
    "a critic's score said as a probability": Fault(
        "lab/slow.py",
        "logits.sigmoid() if any_loss else logits",
        "logits.sigmoid()",
        "test_live.py::test_slow_motion_says_the_scores_of_a_critic_as_they_are",
    ),
    "an older word replaces a newer one": Fault(
        "lab/view.py",
        "late |= number < newest",
        "late |= False",
        "test_live.py::test_of_two_words_on_one_subject_the_newer_counts_whichever_comes_first",
    ),
    "labels shuffled against their pictures": Fault(
        "distributions.py",
        "return self.samples.data[rows], self.labels[rows]",
        "return self.samples.data[rows], self.labels[rows.flip(-1)]",
        "test_conditional.py::test_a_trainer_makes_what_is_asked_for[True]",
    ),
    "the class dropped in D": Fault(
        "conditional.py",
        "self.psi(phi) + (phi * self.v[label]).sum(dim=-1, keepdim=True)",
        "self.psi(phi)",
        "test_conditional.py::test_another_label_makes_another_output[projection]",
    ),
    "the class dropped in G": Fault(
        "conditional.py",
        "torch.cat([x, y], dim=-1)",
        "torch.cat([x, 0 * y], dim=-1)",
        "test_conditional.py::test_another_label_makes_another_output[concatenation]",
    ),
    "the projection on the layer before its bend": Fault(
        "conditional.py",
        "self.psi(phi) + (phi * self.v[label]).sum(dim=-1, keepdim=True)",
        "self.psi(phi) + (self.phi[:-1](x) * self.v[label]).sum(dim=-1, keepdim=True)",
        "test_conditional.py::test_projection_is_its_formula",
    ),
    "the projection on the layer below the last": Fault(
        "conditional.py",
        "(phi * self.v[label]).sum(dim=-1, keepdim=True)",
        "(self.phi[:-2](x) * self.v[label]).sum(dim=-1, keepdim=True)",
        "test_conditional.py::test_projection_is_its_formula",
    ),
}

#: Runs each copy's tests in one process, which imports torch once. What pytest does for the
#: reader of a failure, and the collection of torch's garbage at each end, take longer than a test.
RUNNER = """
import importlib, json, sys
import pytest

OPTIONS = ["-xq", "--assert=plain", "-p", "no:unraisableexception", "-p", "no:cacheprovider"]
OPTIONS += ["-p", "pytest_timeout"]  # the project's file sets it, and is read strictly
found, path = {}, list(sys.path)
for folder, tests in json.loads(sys.stdin.read()).items():
    sys.path[:] = [folder, *path]
    importlib.invalidate_caches()
    tests = [f"{folder}/tests/{test}" for test in tests]
    found[folder] = int(pytest.main([*OPTIONS, "-c", folder + "/pyproject.toml", *tests]))
    for name, module in list(sys.modules.items()):
        of_the_copy = (getattr(module, "__file__", None) or "").startswith(folder)
        if of_the_copy and name != "standin":  # its device is registered once in a process
            del sys.modules[name]
print("\\n" + json.dumps(found))
"""


def copy_of_the_library(folder: Path) -> Path:
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "gan_course", folder / "gan_course", ignore=ignore)
    (folder / "tests").mkdir()
    files = {fault.test.partition("::")[0] for fault in FAULTS.values()}
    for name in (*files, "conftest.py", "standin.py", "toys.py"):
        shutil.copy(ROOT / "tests" / name, folder / "tests")
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder.resolve()  # as Python will name its files


Held = dict[str, Any]


def fits(pattern: Any, node: Any, held: Held) -> bool:
    """Whether a tree is that of the pattern; ``held`` takes what its ``any_`` names stand for."""
    if isinstance(pattern, ast.Name) and pattern.id.startswith("any_"):
        same = held.setdefault(pattern.id, node)
        return isinstance(node, ast.expr) and ast.dump(same) == ast.dump(node)
    if isinstance(pattern, list):
        if pattern and rest_of(pattern[-1]):
            *pattern, last = pattern
            held[rest_of(last)] = node[len(pattern) :]
            node = node[: len(pattern)]
        alike = len(pattern) == len(node)
        return alike and all(fits(p, n, held) for p, n in zip(pattern, node, strict=True))
    if isinstance(pattern, ast.AST):
        parts = [(getattr(pattern, name), getattr(node, name, None)) for name in pattern._fields]
        return type(pattern) is type(node) and all(fits(p, n, held) for p, n in parts)
    return bool(pattern == node)


def rest_of(node: ast.AST) -> str:
    """The name of ``*any_name`` or ``**any_name``; else nothing."""
    match node:
        case ast.Starred(value=ast.Name(id=name)) if name.startswith("any_"):
            return name
        case ast.keyword(arg=None, value=ast.Name(id=name)) if name.startswith("any_"):
            return f"**{name}"
    return ""


class Filler(ast.NodeTransformer):
    """Puts what was held in the place of its name."""

    def __init__(self, held: Held) -> None:
        self.held = held

    def visit(self, node: ast.AST) -> Any:
        name = rest_of(node) or getattr(node, "id", "")
        return self.held[name] if name in self.held else self.generic_visit(node)


class Planter(ast.NodeTransformer):
    """Writes a fault for what fits its pattern, and counts how often."""

    def __init__(self, fault: Fault) -> None:
        (old,), self.new = ast.parse(fault.old).body, ast.parse(fault.new).body
        inside = isinstance(old, ast.Expr) and len(self.new) == 1
        inside = inside and isinstance(self.new[0], ast.Expr)
        self.old, self.kind = (old.value, ast.expr) if inside else (old, ast.stmt)
        self.count = 0

    def visit(self, node: ast.AST) -> Any:
        node, held = self.generic_visit(node), {}
        if not (isinstance(node, self.kind) and fits(self.old, node, held)):
            return node
        self.count += 1
        new = [Filler(held).visit(copy.deepcopy(statement)) for statement in self.new]
        return new[0].value if self.kind is ast.expr else new


def plant(fault: Fault, folder: Path) -> None:
    module, planter = folder / "gan_course" / fault.module, Planter(fault)
    tree = ast.parse(module.read_text("utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    for place in [f for f in functions if f.name == fault.within] if fault.within else [tree]:
        planter.visit(place)
    assert planter.count == 1, (
        f"{fault.module} has {planter.count} × {fault.old!r}: renew the fault"
    )
    module.write_text(ast.unparse(ast.fix_missing_locations(tree)), "utf-8")


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """Pytest's exit status for each fault, and for a sound copy under the name ``sound``."""
    folders, tests = {}, {"sound": sorted({fault.test for fault in FAULTS.values()})}
    folders["sound"] = copy_of_the_library(tmp_path_factory.mktemp("sound"))
    for name, fault in FAULTS.items():
        folders[name] = copy_of_the_library(tmp_path_factory.mktemp("planted"))
        plant(fault, folders[name])
        tests[name] = [fault.test]
    run = subprocess.run(
        [sys.executable, "-c", RUNNER],
        input=json.dumps({str(folder): tests[name] for name, folder in folders.items()}),
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=folders["sound"],
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        check=True,
        timeout=600,
    )
    print(run.stdout, run.stderr)  # why, when the sound copy fails
    found = json.loads(run.stdout.splitlines()[-1])
    return {name: found[str(folder)] for name, folder in folders.items()}


def test_the_sound_library_passes(verdicts: dict[str, int]):
    assert verdicts["sound"] == pytest.ExitCode.OK


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_noticed(name: str, verdicts: dict[str, int]):
    assert verdicts[name] == pytest.ExitCode.TESTS_FAILED
