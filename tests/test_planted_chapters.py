"""A fault of meaning in a chapter's code or figures is noticed by the checks beside it.

A sign in a formula, a term of an algorithm, two curves under each other's name: each is planted
into the cell, and the rest of its section executed in a copy of the process.
"""

from __future__ import annotations

import os
from typing import NamedTuple

import pytest
from tools import load

audit = load("notebooks/audit.py")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows cannot copy a process"),
]


class Chapter(NamedTuple):
    """The faults of a chapter: what to write for what; and which other sections they need."""

    faults: dict[str, tuple[str, str]]
    also: tuple[str, ...] = ()


CHAPTERS = {
    "00": Chapter(
        {
            "a D that is sure": ("undecided = torch.zeros(1, 4)", "undecided = torch.ones(1, 4)"),
            "one seed is the other": (
                "train(0, 200), train(0, 200), train(1, 200)",
                "train(0, 200), train(0, 200), train(0, 200)",
            ),
            "randomness that nobody seeds": (
                "ring(), seed=seed, device",
                "ring(), seed=torch.seed(), device",
            ),
            "G's button in D's place": ('press("D step", 20)', 'press("G step", 20)'),
            "D's button in G's place": ('press("G step", 20)', 'press("D step", 20)'),
            "G's rate is lowered": ("generator_rate=0.1)", "generator_rate=1e-5)"),
            "a machine that trains nothing": ("trainer.train(steps)", "trainer.train(0 * steps)"),
            "a machine that takes one step": (
                "trainer.train(steps)",
                "trainer.train(min(1, steps))",
            ),
            "k stays at 1": ("lab.set(k=5)", "lab.set(k=1)"),
            "a copy that doesn't train": ("control.train(200)", "control.train(0)"),
            "clusters for a circle": ("/ noise.norm(dim=-1", "/ noise.norm(dim=-2"),
            "the shade turned round": ("judge(points).sigmoid()", "1 - judge(points).sigmoid()"),
            "the last D in each panel": (
                "judge=judge: judge(points)",
                "judge=judge: list(moments.values())[-1][1](points)",
            ),
            "crosses mirrored": (
                "y[0, :300], crosses, target",
                "y[0, :300], crosses * torch.tensor([-1.0, 1.0]), target",
            ),
            "crosses of another run": (
                "y[0, :300], crosses, target",
                "y[0, :300], trainer.sample(300)[1], target",
            ),
            "moments exchanged": (
                "zip(row, moments.items(), strict=True)",
                "zip(row[::-1], moments.items(), strict=True)",
            ),
        }
    ),
    "01": Chapter(
        {
            "the ruler's sign": (
                "Normal(m, s).log_prob(v) + math.log(ruler)\n\n\ndef kl",
                "Normal(m, s).log_prob(v) - math.log(ruler)\n\n\ndef kl",
            ),
            "KL, the model first": (
                "(p_hat * (p_hat.log() - log_q(v, m, s))).sum()",
                "(log_q(v, m, s).exp() * (log_q(v, m, s) - p_hat.log())).sum()",
            ),
            "the width that divides by n − 1": ("data.std(correction=0)", "data.std()"),
            "EM that forgets the weights": ("joint = weight.log() + Normal", "joint = Normal"),
            "EM: widths around 0": (
                "(share * (data[:, None] - m) ** 2)",
                "(share * data[:, None] ** 2)",
            ),
            "a panel of EM draws another step": (
                "parts = path[step][0] * Normal(*path[step][1:])",
                "parts = path[300 - step][0] * Normal(*path[300 - step][1:])",
            ),
            "the panels of EM in reverse order": (
                "zip(em_axes, (0, 1, 300), strict=True):\n    ax.set(xlabel",
                "zip(em_axes[::-1], (0, 1, 300), strict=True):\n    ax.set(xlabel",
            ),
            "back-propagation: the slope of tanh": (
                "d_a @ w2.mT * (1 - h**2)\n    sums",
                "d_a @ w2.mT * (1 - h)\n    sums",
            ),
            "back-propagation: belief less truth": (
                "(torch.sigmoid(a) - y) / len(x)",
                "(y - torch.sigmoid(a)) / len(x)",
            ),
            "the picture's δ at the wrong place": (
                "h_at, a_at = forward(point, *tiny)\nd_a = torch.sigmoid(a_at) - no",
                "h_at, a_at = forward(point, *tiny)\nd_a = torch.sigmoid(h_at) - no",
            ),
            "the belief net's normaliser": (
                "(x * a - F.softplus(a)).sum(dim=-1)",
                "(x * a - F.softplus(-a)).sum(dim=-1)",
            ),
            "the bound's entropy": (
                "(log_joint(z) - r.log_prob(z)).mean()",
                "(log_joint(z) + r.log_prob(z)).mean()",
            ),
            "the gap turned round": (
                "(r.log_prob(z).exp() * (r.log_prob(z) - posterior.log()))",
                "(posterior * (posterior.log() - r.log_prob(z)))",
            ),
            "the chain prefers high energy": (
                "energy(x_chain) - energy(proposal)",
                "energy(proposal) - energy(x_chain)",
            ),
            "walkers of another step": ("ax.hist(walkers[step],", "ax.hist(walkers[step // 2],"),
            "filling in: the gain's sign": (
                "(gain @ (top - mean[c, :32])",
                "(gain @ (mean[c, :32] - top)",
            ),
            "the other side of the path": ("[:, None] < -edge)", "[:, None] > -edge)"),
            "the two noises exchanged": (
                "held_out(1e-2), held_out(1e-4)",
                "held_out(1e-4), held_out(1e-2)",
            ),
        },
        also=("Two sheets",),
    ),
    "02": Chapter(
        {
            "the coin's second logarithm": (
                "0.4 * torch.log(1 - D_thread)",
                "0.4 * torch.log(D_thread)",
            ),
            "the labels exchanged": (
                "torch.cat([torch.ones(1, 256), torch.zeros(1, 256)], dim=1)",
                "torch.cat([torch.zeros(1, 256), torch.ones(1, 256)], dim=1)",
            ),
            "D learns the labels turned": (
                "F.softplus(-a_real).mean() + F.softplus(a_fake).mean()\n            of_D",
                "F.softplus(a_real).mean() + F.softplus(-a_fake).mean()\n            of_D",
            ),
            "D's gradient is never reset": (
                "            of_D.zero_grad()\n            loss.backward()",
                "            loss.backward()",
            ),
            "k is not used": (
                "for _ in range(k):\n            x =",
                "for _ in range(1):\n            x =",
            ),
            "G is judged on D's noise": (
                "        z = prior.sample((batch,), random)\n        loss = F.softplus(-D",
                "        loss = F.softplus(-D",
            ),
            "G's minimax cost": (
                "loss = F.softplus(-D(G(z))).mean()\n        of_G",
                "loss = -F.softplus(D(G(z))).mean()\n        of_G",
            ),
            "Adam's momentum": ('"betas": (0.5, 0.999), "fused"', '"betas": (0.9, 0.999), "fused"'),
            "one seed for weights alone": (
                "random = torch.Generator().manual_seed(seed)\n    adam",
                "random = torch.Generator().manual_seed(seed + 1)\n    adam",
            ),
            "the flipped label is not flipped": ("(fake_logits, ones)", "(fake_logits, zeros)"),
            "the minimax slope": ("(-F.softplus(a), a)  # log(1 − D)", "(F.softplus(a), a)"),
            "the non-saturating slope": ("(F.softplus(-a), a)  # −log D", "(-F.softplus(a), a)"),
            "crosses mirrored": (
                "plot_samples(ax, real, crosses[-1], target.window)",
                "plot_samples(ax, real, crosses[-1] * torch.tensor([-1.0, 1.0]), target.window)",
            ),
            "arrows to where D says generated": (
                "ax.quiver(*x.detach().T, *slope.T",
                "ax.quiver(*x.detach().T, *-slope.T",
            ),
            "arrows with x and y exchanged": (
                "ax.quiver(*x.detach().T, *slope.T",
                "ax.quiver(*x.detach().T, *slope.T.flip(0)",
            ),
            "the shade of D turned round": (
                "lambda points: trainer.discriminate(points)[0]",
                "lambda points: 1 - trainer.discriminate(points)[0]",
            ),
            "the data shifted under the priors": (
                "plot_samples(ax, real, x, target.window)",
                "plot_samples(ax, real.roll(1, dims=1), x, target.window)",
            ),
            "arrows from even steps of z": (
                "icdf((torch.arange(17) + 0.5) / 17).unsqueeze(-1)",
                "icdf(torch.tensor([0.03])).mul(torch.linspace(1, -1, 17)).unsqueeze(-1)",
            ),
            "arrows of another run": (
                "sent = classic.generator.member(0)(z)",
                "sent = 0 * z + classic.generator.member(1)(z).mean()",
            ),
            "half of the runs in the band": (
                "rows.quantile(torch.tensor([0.1, 0.9]), dim=1)",
                "rows.quantile(torch.tensor([0.25, 0.75]), dim=1)",
            ),
            "the band turned to the other k": (
                "ax.fill_between(steps, low, high, alpha",
                "ax.fill_between(steps, 1 - high, 1 - low, alpha",
            ),
            "the histogram of another run": (
                "samples = classic.sample(100_000)[0, :, 0]",
                "samples = classic.sample(100_000)[1, :, 0]",
            ),
            "the head start in both games": (
                'of_seeds("high_quality", "even", cost, t) for cost',
                'of_seeds("high_quality", "far ahead", cost, t) for cost',
            ),
            "the bug under the healthy name": (
                'bugged.loc["detached"], bugged.loc["forgotten"]',
                'bugged.loc["forgotten"], bugged.loc["detached"]',
            ),
            "turning back where no noise falls": (
                "z_line[:, 0].abs() < 2.7",
                "z_line[:, 0].abs() < 4.5",
            ),
            "samples beside their place": (
                "counts / len(even_noise) / dx",
                "counts.roll(9, dims=1) / len(even_noise) / dx",
            ),
            "D* as the share of the generated": (
                "D_star = p_data / (p_data + alone[0][0])",
                "D_star = alone[0][0] / (p_data + alone[0][0])",
            ),
            "D* of another run": (
                "D_star = p_data / (p_data + alone[0][0])",
                "D_star = p_data / (p_data + alone[0][7])",
            ),
            "fewer steps of D than the title's": (
                "for _ in range(800):\n    classic.discriminator_step()",
                "for _ in range(200):\n    classic.discriminator_step()",
            ),
            "fewer steps of G than the title's": (
                "for _ in range(8):\n    classic.generator_step()",
                "for _ in range(5):\n    classic.generator_step()",
            ),
            "a plane of noise under the line's name": (
                '"normal, 1 dimension": once(normal(1))',
                '"normal, 1 dimension": once(normal(2))',
            ),
            "eight dimensions under the name of two": (
                '"normal, 2": once(normal(2))}',
                '"normal, 2": once(normal(8))}',
            ),
            "priors at different steps": (
                "trainer.train(700)",
                "trainer.train(700 if prior.event_shape[0] == 2 else 140)",
            ),
            "a painter of the other half": ("Empirical(halves[0])", "Empirical(halves[1])"),
            "the mean one": ("images[labels == 0].flatten", "images[labels == 1].flatten"),
            "steps beyond the title's": (
                "    trainer.train(until - trainer.steps)\n    taken.append",
                "    trainer.train(until)\n    taken.append",
            ),
            "more than a little": ("trainer.train(a_little)", "trainer.train(2 * a_little)"),
            "more steps than at the axis": (
                "        trainer.train(until - trainer.steps)\n        taken.append",
                "        trainer.train(until)\n        taken.append",
            ),
            "nearest to nothing": (
                "halves[0][nearest].reshape",
                "halves[0][nearest + 1].reshape",
            ),
        },
        also=("A painter who has never seen a painting",),
    ),
    "03": Chapter(
        {
            "the integrand's sign": (
                "a * sympy.log(y) + b * sympy.log(1 - y)",
                "a * sympy.log(y) - b * sympy.log(1 - y)",
            ),
            "D* of the generated": ("return real / (real + fake)", "return fake / (real + fake)"),
            "the spread of beliefs, not of logits": (
                "spread = strands.std(dim=0)",
                "spread = strands.sigmoid().std(dim=0)",
            ),
            "a verdict with doubts": (
                "(by_library(x) > 0.5).double()",
                "(by_library(x) > 0.5).double().clamp(0.01, 0.99)",
            ),
            "V with one sign": ("density(q) * F.logsigmoid(-a)", "density(q) * F.logsigmoid(a)"),
            "the coin of D in place of D*": (
                "return a_star.sigmoid() * of_real + (-a_star)",
                "return a.sigmoid() * of_real + (-a)",
            ),
            "the excess over data alone": (
                "return ((density(p) + density(q)) * kl(a_star, a))",
                "return (2 * density(p) * kl(a_star, a))",
            ),
            "Pinsker without its square": (
                "(m * (wrong.sigmoid() - D_star(x)) ** 2)",
                "(m * (wrong.sigmoid() - D_star(x)).abs())",
            ),
            "the Dirac-GAN: G climbs, too": (
                "w, theta = w - 0.2 * theta * D, theta + 0.2 * w * D",
                "w, theta = w - 0.2 * theta * D, theta - 0.2 * w * D",
            ),
            "smoothing: a term dropped": (
                "rest = alpha * mass + (1 - beta) * mass.flip(0)",
                "rest = (1 - beta) * mass.flip(0)",
            ),
            "smoothing: β dropped": (
                "label = (1 - alpha) * mass + beta * mass.flip(0)",
                "label = (1 - alpha) * mass",
            ),
            "panels of smoothing turned": (
                "((left, (0.1, 0.0)), (right, (0.1, 0.1)))",
                "((right, (0.1, 0.0)), (left, (0.1, 0.1)))",
            ),
            "the slope of D, not of its logit": ("D.logit(here).sum()", "D(here).sum()"),
            "the area of the generated": (
                "left.fill_between(x, density(p), color=REAL, alpha=0.3",
                "left.fill_between(x, density(q), color=REAL, alpha=0.3",
            ),
            "words of the laws exchanged": (
                'left.text(-4.6, 0.13, "data"',
                'left.text(-4.6, 0.13, "generated"',
            ),
            "the crowd of the data alone": (
                "crowd = 5 * (density(p) + density(q))\nright.fill",
                "crowd = 5 * density(p)\nright.fill",
            ),
            "all runs in the shade": (
                "torch.tensor([0.25, 0.75]).to(values)",
                "torch.tensor([0.0, 1.0]).to(values)",
            ),
            "quartiles turned round": (
                "[middle - low, high - middle], label",
                "[high - middle, middle - low], label",
            ),
            "data and samples shaded in each other's place": (
                "left.axvspan(0, 1, color=REAL",
                "left.axvspan(3, 4, color=REAL",
            ),
            "words at the gap exchanged": (
                'left.text(0.5, 1.06, "data"',
                'left.text(6.5, 1.06, "data"',
            ),
            "the shade of D* turned round": (
                "logit_star(x, e).sigmoid()",
                "(-logit_star(x, e)).sigmoid()",
            ),
            "crosses beside their curve": (
                "v = torch.sin(2 * z) + epsilon",
                "v = torch.cos(2 * z) + epsilon",
            ),
            "strands that learn the other class": (
                "a = broken(9)(x) @ learn(p, q, n, broken(9), runs=16).T",
                "a = broken(9)(x) @ learn(q, p, n, broken(9), runs=16).T",
            ),
            "three times the samples of the title": (
                "a = broken(9)(x) @ learn(p, q, n, broken(9), runs=16).T",
                "a = broken(9)(x) @ learn(p, q, 3 * n, broken(9), runs=16).T",
            ),
            "the rule's line too high": (
                "ax.loglog(pieces[2:], rule[2:],",
                "ax.loglog(pieces[2:], 5 * rule[2:],",
            ),
            "floors under each other's name": (
                "left.axhline(floor[rate],",
                "left.axhline(floor[{0.5: 0.05, 0.05: 0.5}[rate]],",
            ),
            "the rate drops elsewhere": ("right.axvline(400,", "right.axvline(200,"),
            "half of 2 log 2": ("axes[3].axhline(2 * math.log(2),", "axes[3].axhline(math.log(2),"),
            "a thicker curve in the shade": (
                "lambda x, e=epsilon: logit_star(x, e).sigmoid()",
                "lambda x, e=epsilon: logit_star(x, max(e, 0.1)).sigmoid()",
            ),
            "thicker crosses": (
                "v = torch.sin(2 * z) + epsilon *",
                "v = torch.sin(2 * z) + max(epsilon, 0.08) *",
            ),
            "the left sixteen on the right": (
                "ax.plot(x, sixteen[beta].T, color",
                "ax.plot(x, torch.cat([sixteen[beta][:1], sixteen[0.0][1:]]).T, color",
            ),
            "fourteen of the exchanged laws": (
                "left.plot(u, beliefs[:16].T, color",
                "left.plot(u, torch.cat([beliefs[:1], beliefs[16:30], beliefs[15:16]]).T, color",
            ),
            "fewer steps than the title's": ("train_apart(300)\n", "train_apart(250)\n"),
            "fifteen strangers mirrored": (
                "ax.plot(x, curves.T, color=STRAND",
                "ax.plot(x, torch.cat([curves[:1], curves[1:].flip(1)]).T, color=STRAND",
            ),
            "fifteen others beside D*": (
                "left.plot(x, strands.sigmoid().T, color",
                "left.plot(x, torch.cat([strands[:1], -strands[1:]]).sigmoid().T, color",
            ),
            "the average of the last weights' rate": (
                "eta = torch.tensor([rate(t) for rate in rates])",
                "eta = torch.tensor([rate(1) for rate in rates])",
            ),
            "the other cost at the thin curve": (
                "for cost in (F.logsigmoid(-a), -F.logsigmoid(a))",
                "for cost in (-F.logsigmoid(a), F.logsigmoid(-a))",
            ),
            "the thin curve's push turned round": (
                "for cost in (F.logsigmoid(-a), -F.logsigmoid(a))",
                "for cost in (-F.logsigmoid(-a), F.logsigmoid(a))",
            ),
            "across the gap one cost for both": (
                "-a.sigmoid() * slope, -(-a).sigmoid() * slope",
                "-a.sigmoid() * slope, -a.sigmoid() * slope",
            ),
            "the steps of the strangers": (
                "for _ in range(300):\n    trainer.discriminator_step()",
                "for _ in range(250):\n    trainer.discriminator_step()",
            ),
            "the widget's excess of the data": (
                "lost = (density(wide) + density(narrow)) * kl(best, a)",
                "lost = 2 * density(wide) * kl(best, a)",
            ),
        },
        also=("Sixteen strangers",),
    ),
    "04": Chapter(
        {
            "KL without its p": (
                "return (log_p.exp() * (log_p - log_q)).sum() * dx",
                "return (log_q.exp() * (log_p - log_q)).sum() * dx",
            ),
            "the reverse is the forward": (
                "return kl_by_hand(log_q, log_p)",
                "return kl_by_hand(log_p, log_q)",
            ),
            "JS twice": (
                "return (kl_by_hand(log_p, log_m) + kl_by_hand(log_q, log_m)) / 2",
                "return kl_by_hand(log_p, log_m) + kl_by_hand(log_q, log_m)",
            ),
            "a mixture without its ½": (
                "log_m = torch.logaddexp(log_p, log_q) - log2\n    return (kl",
                "log_m = torch.logaddexp(log_p, log_q)\n    return (kl",
            ),
            "a detour's second half forgotten": (
                "distance(start, end) - distance(start, stop) - distance(stop, end)",
                "distance(start, end) - distance(start, stop)",
            ),
            "half of the coin's uncertainty": (
                "-(odds * odds.log2() + (1 - odds) * (1 - odds).log2())",
                "-(odds * odds.log2())",
            ),
            "what the stronger D loses on fakes, turned": (
                "(F.logsigmoid(-a) - F.logsigmoid(-3 * a))",
                "(F.logsigmoid(-3 * a) - F.logsigmoid(-a))",
            ),
            "J_D without its ½": ("J_D = -V / 2", "J_D = -V"),
            "fresh samples that are its own": (
                "torch.stack([js_bound(D, *own), js_bound(D, *fresh)])",
                "torch.stack([js_bound(D, *own), js_bound(D, *own)])",
            ),
            "own and fresh exchanged": (
                "torch.stack([js_bound(D, *own), js_bound(D, *fresh)])",
                "torch.stack([js_bound(D, *fresh), js_bound(D, *own)])",
            ),
            "the control is the treatment: two fits, one divergence": (
                "mean, std, left_by_reverse = fit(reverse_kl, mean=1.0)",
                "mean, std, left_by_reverse = fit(kl_by_hand, mean=1.0)",
            ),
            "f-GAN's conjugate is T itself": ("* (T.exp() - 1)).sum()", "* T).sum()"),
            "f-GAN trained the other way": (
                "(T(fake).exp() - 1 - T(real))",
                "(T(real).exp() - 1 - T(fake))",
            ),
            "inventing and missing exchanged": (
                "right.plot(t, t * f(1 / t), style, color=color)",
                "right.plot(t, f(t), style, color=color)",
            ),
            "names of JS and W1 exchanged": (
                'ax.plot(lengths, of_js, color=JUDGE, label="JS")\nax.plot(lengths, of_w1,',
                'ax.plot(lengths, of_w1, color=JUDGE, label="JS")\nax.plot(lengths, of_js,',
            ),
            "F.kl_div's arguments turned": (
                "F.kl_div(Q.log(), P, reduction",
                "F.kl_div(P.log(), Q, reduction",
            ),
            "a landscape in the wrong units": ("sum(dim=-1) * 0.1\n", "sum(dim=-1) * 0.2\n"),
            "missing drawn as inventing": (
                "right.plot(t, t * f(1 / t), style",
                "right.plot(t, f(t), style",
            ),
            "a cost that counts negative": ("- lq.exp() + lp.exp(),", "+ lq.exp() - lp.exp(),"),
            "the star of a valley forgotten": (
                "[(0, 1.7364), (-2, 0.5), (2, 0.5)]",
                "[(-2, 0.5), (2, 0.5)]",
            ),
            "slice in place of splice": ("del points[i : 2 * i + 1]", "del points[i:i]"),
            "the middle of two heaps": ("middle = sum(heaps) / 2", "middle = sum(heaps)"),
        },
        also=("Two best answers", "Kullback", "Two directions", "Jensen", "What the game"),
    ),
    "05": Chapter(
        {
            "the optimal logit turned": (
                "return ((x - theta) ** 2 - x**2) / 2",
                "return (x**2 - (x - theta) ** 2) / 2",
            ),
            "panels of the pupils under another's name": (
                "ax.set(title=loss, xlabel",
                "ax.set(title=COSTS[::-1][COSTS.index(loss)], xlabel",
            ),
            "minimax by hand is non-saturating": (
                "by_hand = [torch.log(1 - D), -torch.log(D), -D / (1 - D)]",
                "by_hand = [-torch.log(D), torch.log(1 - D), -D / (1 - D)]",
            ),
            "the odds upside down": (
                "(-D, -(1 - D), -D / (1 - D))",
                "(-D, -(1 - D), -(1 - D) / D)",
            ),
            "the sigmoid's slope without 1 − D": (
                "in_D[loss] * D * (1 - D), slope(loss, a)",
                "in_D[loss] * D, slope(loss, a)",
            ),
            "heard: minimax and non-saturating exchanged": (
                "slope(loss, a_there[shown_run, some]).abs() for",
                "slope(loss, -a_there[shown_run, some]).abs() for",
            ),
            "the advice turned round": (
                "(advice,) = torch.autograd.grad(a_there.sum(), x, retain_graph=True)",
                "(advice,) = torch.autograd.grad(-a_there.sum(), x, retain_graph=True)",
            ),
            "the untrained D is the trained one": (
                "(ignorant,) = torch.autograd.grad(untrained(x).sum(), x)",
                "(ignorant,) = torch.autograd.grad(plane.logits(x).sum(), x)",
            ),
            "the forger has been told the way": (
                "to_circle = places / radius * (1 - radius)",
                "to_circle = to_nearest",
            ),
            "JS in place of twice JS": (
                "f_2JS = r * sp.log(r) - (1 + r) * sp.log(1 + r)",
                "f_2JS = (r * sp.log(r) - (1 + r) * sp.log(1 + r)) / 2",
            ),
            "the rule's minus": ("(f - r * sp.diff(f, r))", "(f + r * sp.diff(f, r))"),
            "the slope of f without r": ("(f - r * sp.diff(f, r))", "(f - sp.diff(f, r))"),
            "a weaker D in words only": (
                "(strength * at_8).sigmoid()).sum() * strength",
                "at_8.sigmoid()).sum() * strength",
            ),
            "shares that are not of the batch": (
                "return pulls / pulls.sum()",
                "return pulls / pulls.max()",
            ),
            "weights in a batch without their half": (
                "return torch.exp(optimal_logit(z + theta, theta)).mean(dim=1)",
                "return torch.exp(optimal_logit(z + theta, theta) / 2).mean(dim=1)",
            ),
            "samples without their square root": ("/ 256).sqrt() / mean", "/ 256) / mean"),
            "the optimal D in its place is the trained one": (
                "best = measure(lambda x: optimal_logit(x, stands_at).squeeze(-1))",
                "best = measure(teacher.logits)",
            ),
            "larger logits are smaller": ("for s in (1, 1.1)]", "for s in (1, 0.9)]"),
            "noise above, strength below": (
                "rows = (strength[:, j, i], noise[:, j, i] / strength[:, j, i])",
                "rows = (noise[:, j, i] / strength[:, j, i], strength[:, j, i])",
            ),
            "the short memory is the usual one": (
                "adam(loss, 8.0, betas=(0.9, 0.9))",
                "adam(loss, 8.0, betas=(0.9, 0.999))",
            ),
            "the small threshold is the usual one": (
                "adam(loss, 12.0, eps=1e-16)",
                "adam(loss, 12.0, eps=1e-8)",
            ),
            "the lead taken the other way": (
                "return mean_interval(behind - ahead_of)",
                "return mean_interval(ahead_of - behind)",
            ),
            "D ahead and together exchanged": (
                '{"D ahead": "D is far ahead", "together": "they begin together"}',
                '{"together": "D is far ahead", "D ahead": "they begin together"}',
            ),
            "an epsilon outside the log": (
                "return -torch.log(torch.sigmoid(a) + 1e-8)",
                "return -torch.log(torch.sigmoid(a)) + 1e-8",
            ),
            "even and mixed exchanged": (
                "both = torch.stack([even, mixed])",
                "both = torch.stack([mixed, even])",
            ),
        },
        also=("Three pupils", "Three costs", "The slope", "What saturates", "Which way"),
    ),
    "06": Chapter(
        {
            "the conserved quantity's sign": ("+ eta_ * x_ * y_", "- eta_ * x_ * y_"),
            "x sees y before its move": ("new_x = x_ - eta_ * new_y", "new_x = x_ - eta_ * y_"),
            "Adam without its bias correction": (
                "m / (1 - betas[0] ** t), v / (1 - betas[1] ** t)",
                "m, v",
            ),
            "crosses at other eigenvalues": (
                "fastest = found.gather(1, found.imag.argmax(",
                "fastest = found.gather(1, found.real.argmax(",
            ),
            "circles of the penalised field": (
                "lone = bare[gamma].gather(1, bare[gamma].imag.argmax(",
                "lone = found.gather(1, found.imag.argmax(",
            ),
            "a wide D for nothing": (
                "later = np.array(MOMENTS[1:]) * factor",
                "later = np.array(MOMENTS[1:]) * factor**0",
            ),
            "intervals half as long": (
                'found.estimate, found.half, fmt="o"',
                'found.estimate, found.half / 2, fmt="o"',
            ),
            "moments in reverse order": (
                '[f"{m:,}" for m in MOMENTS[1:]], rotation',
                '[f"{m:,}" for m in MOMENTS[:0:-1]], rotation',
            ),
            "one bell lost": (
                "mass * left_half, mass * ~left_half",
                "0 * mass, mass * ~left_half",
            ),
            "steps of G on an axis of evaluations": (
                "middle = 2 * (torch.arange",
                "middle = 1 * (torch.arange",
            ),
            "the half spike is all spike": (
                "((thinner + data_masses(two_bells)) / 2)",
                "((thinner + spikes) / 2)",
            ),
            "the deviation round 0": ("(share * (x - mean).square())", "(share * x.square())"),
            "the first width for the last": (
                "deviation_of(law)])",
                "length_of(law, 0.5)])",
            ),
            "one end of the price twice": (
                "ends = {one: [found.low, found.high]",
                "ends = {one: [found.low, found.low]",
            ),
            "a plain training that ends too soon": (
                'recorded(target, "plain", LONG)[1:]',
                'recorded(target, "plain", LONG)[[1, 2, 3, 4, 5] + [5] * (len(LONG) - 6)]',
            ),
            "G's loss is D's": (
                "smooth[player].mean(dim=1), style",
                "smooth[0].mean(dim=1), style",
            ),
            "a third of what D proves": (
                "smooth[0] / 2).mean(dim=1)",
                "smooth[0] / 2).mean(dim=1) / 3",
            ),
            "spikes as wide as the bells": ("thin = 0.1", "thin = 0.4"),
            "a tenth of the mass for half": (
                "cumsum(dim=-1) < held)",
                "cumsum(dim=-1) < held / 5)",
            ),
            "three lines of one contender": (
                "found = mean_interval(recorded(name, contender)[1:])",
                'found = mean_interval(recorded(name, "plain")[1:])',
            ),
        },
        also=("The Dirac-GAN", "Loss is not progress"),
    ),
    "07": Chapter(
        {
            "the ceiling without HQ": (
                "(1 - (1 - 1 / K) ** (n * quality))",
                "(1 - (1 - 1 / K) ** n)",
            ),
            "the displayed ceiling": ("(1 - 1 / K_) ** (n_ * h_)", "(1 - 1 / K_) ** n_"),
            "the floor's K": ("(K_ - 1) / (2 * n_)", "(K_ + 1) / (2 * n_)"),
            "effective modes upside down": ("K * np.exp(-np", "K * np.exp(np"),
            "birthdays: pairs with themselves": (".sum() - times * samples", ".sum()"),
            "the displayed birthdays": ("(i_, 1, s_ - 1)", "(i_, 1, s_)"),
            "the exponential's half": ("-s_ * (s_ - 1) / (2 * N_)", "-s_ * (s_ - 1) / N_"),
            "V's sign": (
                "return (p * F.logsigmoid(a)).sum(-1) - ",
                "return (p * F.logsigmoid(a)).sum(-1) + ",
            ),
            "the displayed V's second sum": ("sp.Add(of_data, -of_G", "sp.Add(of_data, of_G"),
            "what D can secure": (
                "some_D.log().mean(dim=1) + (1 - of_top).log()",
                "some_D.log().mean(dim=1) + of_top.log()",
            ),
            "one answer in place of k": (
                "for _ in range(k):\n            a = a + eta",
                "for _ in range(1):\n            a = a + eta",
            ),
            "the bound with k upside down": (
                "4 * K_ * (1 + r_**k_) / (eta_G * (1 - r_**k_))",
                "4 * K_ * (1 - r_**k_) / (eta_G * (1 + r_**k_))",
            ),
            "unrolling rewards what D will punish": (
                "likes_now + will_punish",
                "likes_now - will_punish",
            ),
            "softmax without its mean": (" - (q * gain).sum(-1, keepdim=True))", ")"),
            "D learns from q alone": (
                "eta * (p * torch.sigmoid(-a) - q * torch.sigmoid(a))  # ∂V/∂a",
                "eta * (-q * torch.sigmoid(a))",
            ),
            "titles of the triangles turned": (
                'title=f"G moves {g} × per round"',
                'title=f"G moves {17 // g} × per round"',
            ),
            "panels of the triangles turned": (
                "paths.items(), strict=True):\n    ax.plot(*triangle",
                "reversed(paths.items()), strict=True):\n    ax.plot(*triangle",
            ),
            "the boxed bound: D's sign": ("[-eta_ / 2, 1 - eta_", "[eta_ / 2, 1 - eta_"),
            "the boxed bound: G's factor": ("g_ * eta_ / (2 * K_**2)", "g_ * eta_ / K_**2"),
            "unrolling: D's step turned": (
                "a = a + eta * (p * torch.sigmoid(-a) - q * torch.sigmoid(a))\n    return",
                "a = a - eta * (p * torch.sigmoid(-a) - q * torch.sigmoid(a))\n    return",
            ),
            "legend of loudness exchanged": (
                '"as it is" if norm == "own"',
                '"as it is" if norm == "equal"',
            ),
            "names of the costs reversed": (
                "for cost, value in price.items()]\nax",
                "for cost, value in reversed(price.items())]\nax",
            ),
            "the lead taken the other way": (
                "(in_time[measure][one] - in_time[measure][other])",
                "(in_time[measure][other] - in_time[measure][one])",
            ),
            "another moment on the axis": (
                'ylabel="share with all 8 modes, step 2,000"',
                'ylabel="share with all 8 modes, step 8,000"',
            ),
            "the norms of equalised costs": (
                'as_they_are = loudness[loudness["norm"] == "own"]',
                'as_they_are = loudness[loudness["norm"] == "equal"]',
            ),
            "the last look for the first": (
                'each_look[each_look["step"] == looks[0]]',
                'each_look[each_look["step"] == looks[-1]]',
            ),
            "growth upside down": (
                'np.log(f["late_norm"] / f["early_norm"])',
                'np.log(f["early_norm"] / f["late_norm"])',
            ),
            "Wasserstein alone is another row": (
                '"Wasserstein, no leash": ("no leash", 1, "wasserstein")',
                '"Wasserstein, no leash": ("spectral norm", 1, "non-saturating")',
            ),
            "an untrained G with a wide prior": (
                "G(torch.randn(32, n, 2, generator=random))",
                "G(30 * torch.randn(32, n, 2, generator=random))",
            ),
        }
    ),
    "08": Chapter(
        {
            "rows and columns of the plan": (
                "np.vstack([rows, columns])",
                "np.vstack([columns, rows])",
            ),
            "the area without its gaps": (
                "np.abs(crosses) @ np.diff(place)",
                "np.abs(crosses).sum()",
            ),
            "a matching that is not sorted out": (
                "return cost[i, j].mean(), j",
                "return cost[i, i].mean(), j",
            ),
            "the critic's sign": (
                "np.abs(place[:, None] - place) - psi, axis=1",
                "np.abs(place[:, None] - place) + psi, axis=1",
            ),
            "the dual turned": ("linprog(-earned,", "linprog(earned,"),
            "L without ψ": ("(cost - phi[:, None] - psi)).sum()", "(cost - phi[:, None])).sum()"),
            "Lipschitz with 2": ("A_ub=differences, b_ub=cost", "A_ub=differences, b_ub=2 * cost"),
            "the gradient's sign": (
                "torch.autograd.grad(-mean_f, theta)",
                "torch.autograd.grad(mean_f, theta)",
            ),
            "f* hung up upside down": (
                "(torch.as_tensor(heights) - torch.cdist(x, data_points)).amax",
                "(torch.as_tensor(heights) + torch.cdist(x, data_points)).amin",
            ),
            "heights with ties": ("[0] * n + [-1]", "[0] * n + [0]"),
            "a penalty without its 1": (
                "(gradient_norm(f, between) - 1).square()",
                "gradient_norm(f, between).square()",
            ),
            "MaxMin that drops the larger": (
                "[pairs.amax(dim=-1), pairs.amin(dim=-1)]",
                "[pairs.amin(dim=-1), pairs.amin(dim=-1)]",
            ),
            "the bound of clipping: one layer too many": (
                "c_ * sp.Pow(c_ * w_, h_, evaluate=False)",
                "sp.Pow(c_ * w_, h_, evaluate=False)",
            ),
            "legend of clipping reversed": (
                'bars(ax, depths, slopes[:, i], style, INK, f"c = {c:g}")',
                'bars(ax, depths, slopes[:, i], style, INK, f"c = {clips[2 - i]:g}")',
            ),
            "the stretch's sign": (
                "sp.diff(-s_ * t_ + lambda_ * (s_ - 1) ** 2, s_)",
                "sp.diff(s_ * t_ + lambda_ * (s_ - 1) ** 2, s_)",
            ),
            "the widget's truth turned": (
                'right.plot(SHIFTS, SHIFTS, "--"',
                'right.plot(SHIFTS, -SHIFTS, "--"',
            ),
            "the widget's values turned": ("says = start - means", "says = means - start"),
            "the widget's large dots elsewhere": (
                "[here] * 3, says[index]",
                "[here] * 3, says[index - 1]",
            ),
            "means for medians": ("[where], [row.median()]", "[where], [row.mean()]"),
            "the band of the middle half": (
                "rows.quantile(0.1, axis=1), rows.quantile(0.9, axis=1)",
                "rows.quantile(0.25, axis=1), rows.quantile(0.75, axis=1)",
            ),
            "k = 50 with rounds of k = 20": (
                "EQUAL = {420: (210, 70, 20, 9), 840: (420, 140, 40, 17)",
                "EQUAL = {420: (210, 70, 20, 20), 840: (420, 140, 40, 40)",
            ),
            "the coarse matching for the finer": (
                'set_index(["contender", "run"])["finer w1"]',
                'set_index(["contender", "run"])["w1"]',
            ),
            "open marks of the later step": (
                "left.plot(distances, early, mark, fillstyle",
                "left.plot(distances, late_pull, mark, fillstyle",
            ),
            "pulls at other distances": ("(right, FAR, leashed)", "(right, FAR[::-1], leashed)"),
            "pulls over a linear axis": (
                'ax.set(xscale="log", yscale="log", xlabel',
                'ax.set(xscale="linear", yscale="log", xlabel',
            ),
            "ticks of the pulls turned": (
                'ax.set_xticks(x, [f"{at:g}" for at in x])',
                'ax.set_xticks(x, [f"{at:g}" for at in x[::-1]])',
            ),
            "a name at another line": ("ax.annotate(cost, end", "ax.annotate([*free][0], end"),
            "far out: two costs exchanged": (
                'for cost in ("non-saturating", "minimax"))',
                'for cost in ("minimax", "non-saturating"))',
            ),
            "bars half as long": (
                "[mean - low, high - mean], fmt",
                "[(mean - low) / 2, (high - mean) / 2], fmt",
            ),
            "bars at other places": (
                "ax.errorbar(x, mean, [mean",
                "ax.errorbar([*x][::-1], mean, [mean",
            ),
            "true W1 in the critic's black": (
                '(true[name], "o-", FAKE,',
                '(true[name], "o-", INK,',
            ),
            "ticks of other steps": ('["10", "20", "60", "200"]', '["1", "2", "6", "20"]'),
            "evaluations for steps": (
                'ax.set_xlabel("generator steps")',
                'ax.set_xlabel("gradient evaluations")',
            ),
            "a linear axis of steps": (
                'ax.set(title=name, xscale="log")',
                'ax.set(title=name, xscale="linear")',
            ),
            "the price of G for D's": (
                'took["D"].div(took["D"]["plain"]',
                'took["G"].div(took["G"]["plain"]',
            ),
            "a round of one step": ('a_round = 5 * took["D"]', 'a_round = 1 * took["D"]'),
            "equal time: too early": ("EQUAL_TIME = (20, 70)", "EQUAL_TIME = (20, 40)"),
            "equal time: too late": ("EQUAL_TIME = (20, 70)", "EQUAL_TIME = (10, 70)"),
            "correlation with the other's value": (
                "np.corrcoef(says[name].loc[n], w1)",
                "np.corrcoef(says[five].loc[n], w1)",
            ),
            "the table: k = 1 in each row": (
                'f"off by, {name}": off_by[name].mean(axis=1)',
                'f"off by, {name}": off_by[one].mean(axis=1)',
            ),
            "the table of work: k = 5 in each row": (
                "true[name].loc[rounds[place]].mean():.2f",
                "true[five].loc[rounds[1]].mean():.2f",
            ),
            "a σ that has not caught up": (
                "f.train()\n        with torch.no_grad():",
                "f.eval()\n        with torch.no_grad():",
            ),
            "numbers of the trap exchanged": (
                "int(sign.sum()), where",
                "int((~sign).sum()), where",
            ),
            "one mode may be missing": (
                '(cell["modes"] < 8).to_numpy()',
                '(cell["modes"] < 7).to_numpy()',
            ),
        },
        also=("Two judges",),  # bars
    ),
    "09": Chapter(
        {
            "n strides in place of n − 1": (
                "return (n - 1) * s + k - 2 * p",
                "return n * s + k - 2 * p",
            ),
            "parity of rows alone": ("x[..., i::2, j::2]", "x[..., i::2, :]"),
            "the floor without its diagonal": (
                "(1 + torch.eye(len(a)))",
                "torch.ones(len(a), len(a))",
            ),
            "the floor: one mean": ("return 2 * a.sum() + pairs", "return a.sum() + pairs"),
            "a line for an arc": ("torch.sin((1 - t) * angle) * start", "(1 - t) * start"),
            "higher taken for lower": (
                "torch.where(HIGHER, scores >= worst, scores <= worst)",
                "torch.where(HIGHER, scores <= worst, scores >= worst)",
            ),
            "forgers in another order": (
                'range(len(forgers) + 1), [*forgers, "the bar"],',
                'range(len(forgers) + 1), [*[*forgers][::-1], "the bar"],',
            ),
            "forgers: a bar of the best": (
                "real_scores.amin(0), real_scores.amax(0))",
                "real_scores.amax(0), real_scores.amin(0))",
            ),
            "one digit: the rows exchanged": (
                'ax.set_ylabel(f"β₁ = {beta}"',
                'ax.set_ylabel(f"β₁ = {1.4 - beta:.1f}"',
            ),
            "one digit: precision for the share": (
                'def of_one(variant, step, column="largest")',
                'def of_one(variant, step, column="precision")',
            ),
            "one digit: β₁ without effect": ("betas=(beta, 0.999)", "betas=(0.5, 0.999)"),
            "hacks: taken counted as added": ("* (1 if added else -1)", "* 1"),
            "hacks: every interval by itself": (
                "1 - 0.05 / (len(TRICKS) * len(PLACES))",
                "0.95",
            ),
            "hacks: one company twice": (
                "effects[trick][company, rate] for trick in TRICKS]\n        middle",
                'effects[trick]["bare", rate] for trick in TRICKS]\n        middle',
            ),
            "hacks: rows in another order": (
                "range(len(TRICKS)), TRICKS[::-1]",
                "range(len(TRICKS)), TRICKS",
            ),
            "hacks: too early": (
                'weights="now", step=trick_steps[-1])',
                'weights="now", step=trick_steps[0])',
            ),
            "hacks: points in the rows of others": (
                "np.arange(len(TRICKS))[::-1] + up",
                "np.arange(len(TRICKS)) + up",
            ),
            "hacks: ticks turned": ('[f"{tick:g}" for tick', '[f"{1 / tick:g}" for tick'),
            "hacks: the line of nothing at 2": (
                "ax.axvline(1, color=INK",
                "ax.axvline(2, color=INK",
            ),
            "hacks: intervals turned": (
                "xerr=[middle - low, high - middle]",
                "xerr=[high - middle, middle - low]",
            ),
            "neighbours: the farthest": ("topk(4, largest=False)", "topk(4)"),
            "neighbours: the halves exchanged": (
                '"seen", train), (right, "unseen", unseen)',
                '"seen", unseen), (right, "unseen", train)',
            ),
            "a plane that is not brought to one length": ("return 8 * z / z.norm()", "return z"),
            "packs and single stacks exchanged": (
                'for variant in (f"packing {packs}", other))',
                'for variant in (other, f"packing {packs}"))',
            ),
            "late: a break is a fall": (
                "(far.loc[end] > 2 * far.min())",
                "(far.loc[end] < 2 * far.min())",
            ),
            "sizes: who is ahead exchanged": (
                'for variant in ("DCGAN", "perceptrons"))\n    return mean_interval(np.log',
                'for variant in ("perceptrons", "DCGAN"))\n    return mean_interval(np.log',
            ),
            "sizes: precision drawn": (
                "far = at_moments(side, variant, rate)\n            label",
                'far = at_moments(side, variant, rate, "precision")\n            label',
            ),
            "glyphs: told for not told": (
                'of_factor("told", "all", "agreed") - of_factor("not told", "all", "agreed")',
                'of_factor("not told", "all", "agreed") - of_factor("told", "all", "agreed")',
            ),
            "glyphs: read in another order": (
                "shuffled = torch.randperm(len(READ), generator=torch.Generator().manual_seed(5))",
                "shuffled = torch.randperm(len(READ), generator=torch.Generator().manual_seed(6))",
            ),
            "stacks: no dirt": ("(dirty + 0.7 *", "(dirty + 0.0 *"),
            "late: D plays on": (
                "stopped = LATE[-1] + late_note",
                "stopped = LATE[-1] + 0 * late_note",
            ),
            "late: precision for recall": (
                'recalled = mean_interval(over_time("now", "recall")',
                'recalled = mean_interval(over_time("now", "precision")',
            ),
            "arithmetic: half of the step": (
                "def arrived(who, way, scale=2.0)",
                "def arrived(who, way, scale=1.0)",
            ),
            "arithmetic: rows of all ways": (
                '["variant", "way", "scale"]].eq([who, way, scale])',
                '["variant", "scale"]].eq([who, scale])',
            ),
            "arithmetic: a trained G for the linear map": (
                'linear = arrived("normal pixels"',
                'linear = arrived("perceptrons"',
            ),
        },
        also=("Which of these is good", "A DCGAN on handwriting"),  # the judge, and G's pictures
    ),
    "10": Chapter(
        {
            "V of one class": (
                "value(optimal_discriminator(a, b), a, b) for a, b in zip(p, q, strict=True)",
                "value(optimal_discriminator(a, b), a, b) for a, b in zip(p[:1], q[:1])",
            ),
            "labels as often in both": (
                "js_of_masses((pi * table_p).flatten(), ",
                "js_of_masses((rho * table_p).flatten(), ",
            ),
            "ψ without its half": ("(2 * 0.3**2)", "0.3**2"),
            "v's sign": ("v = (1.0 - 0.9)", "v = (0.9 - 1.0)"),
            "the projection by hand: one class's direction": ("D.v[c] @ f", "D.v[0] @ f"),
            "the less likely class": ("torch.maximum(one, other)", "torch.minimum(one, other)"),
            "c in the denominator": ("(2 - c * sure**weight)", "(2 + c * sure**weight)"),
            "the classifier's sign": (
                "slope - weight * np.log(posterior)",
                "slope + weight * np.log(posterior)",
            ),
            "curves exchanged": ('ax.plot(line, faint, "--"', 'ax.plot(line, usual, "--"'),
            "rows of the ring reversed": (
                "[place] * len(part), label",
                "[6 - place] * len(part), label",
            ),
            "HQ drawn for modes": ('ax.plot(part["effective"]', 'ax.plot(part["high_quality"]'),
            "captions: the wrong ones missing": (
                "(others(p_t) + junk) / 2)",
                "junk)",
            ),
            "captions: the right ones for wrong": (
                "torch.randn(len(bag), 8), bag.roll(1, dims=0)",
                "torch.randn(len(bag), 8), bag",
            ),
            "captions: G is not shown them": (
                "G(z, bag), G(z, wrong)",
                "G(z, 0 * bag), G(z, 0 * bag)",
            ),
            "captions: D is not shown them": (
                "(D(x, text).T for x, text in pairs)",
                "(D(x, 0 * text).T for x, text in pairs)",
            ),
            "captions: the optimum's p and m": (
                "q = q * (p + r) / (2 * r)",
                "q = q * 2 * r / (p + r)",
            ),
            "captions: their own pictures for the others'": (
                "return (p.sum(dim=0) - p) / (len(p) - 1)",
                "return p",
            ),
            "the trained pair: captions drawn at random": (
                'heard[split, "matching-aware"] for split',
                'heard[split, "shuffled"] for split',
            ),
            "the trained pair: captions dropped in D": (
                'heard[split, "matching-aware"] for split',
                'heard[split, "dropped in D"] for split',
            ),
            "the trained pair: captions dropped in G": (
                'heard[split, "matching-aware"] for split',
                'heard[split, "dropped in G"] for split',
            ),
            "the trained pair: the wrong-caption term missing": (
                'heard[split, "matching-aware"] for split',
                'heard[split, "no wrong captions"] for split',
            ),
            "pictures for no caption": (
                'caption_settings["noise"] * z, counts)',
                'caption_settings["noise"] * z, 0 * counts)',
            ),
            "captions of the figure's rows exchanged": (
                'left.set_title(caption + ", held',
                'left.set_title(examples[-1 - examples.index(caption)] + ", held',
            ),
            "the figure's held-out scenes are those of the training": (
                'shapes("held out", copies=1)',
                'shapes("train", copies=1)',
            ),
            "held out and not, exchanged": (
                'groupby(["split", "row"], sort=False)))\nheard = {key: ',
                'groupby(["split", "row"], sort=False)))\nheard = {('
                '{"train": "held out", "held out": "train"}[key[0]], key[1]): ',
            ),
            "the gap turned round": (
                '("train", "matching-aware"), ("held out", "matching-aware"))',
                '("held out", "matching-aware"), ("train", "matching-aware"))',
            ),
            "near and random wrong captions, exchanged": (
                'for row in ("matching-aware", "random wrong captions")\n)\nunaware',
                'for row in ("random wrong captions", "matching-aware")\n)\nunaware',
            ),
            "the forger for the real ones": (
                'for row in ("real", "mean of 25 real")',
                'for row in ("mean of 25 real", "real")',
            ),
            "the shapes as often as they occur": (
                'obeyed["shape"] = obeyed[list',
                'obeyed["size"] = obeyed[list',
            ),
            "what the judge reads of the real ones": (
                "Counter(shapes_read(drawn_for(caption))).most_common",
                "Counter([caption.split()[3]] * 8).most_common",
            ),
            "wrong captions of a G that no longer hears": (
                "stored[name]).float() for name",
                "stored[name]).float() * (name != 'embed.vectors') for name",
            ),
            "pairs turned": ("(one[maps] / n).transpose(1, 2)", "one[maps] / n"),
            "what comes back is counted": ("(returns != torch", "(returns == torch"),
            "Bayes' rule over x": (
                "best_G.sum(dim=1, keepdim=True)",
                "best_G.sum(dim=0, keepdim=True)",
            ),
            "image to image: squares for L1": (
                "autograd.grad((middle - answers).abs().mean(), middle)",
                "autograd.grad((middle - answers).square().mean(), middle)",
            ),
            "image to image: the term of L1 dropped": (
                "autograd.grad((middle - answers).abs().mean(), middle)",
                "autograd.grad(0 * (middle - answers).abs().mean(), middle)",
            ),
            "image to image: shuffled pairs under the name of both": (
                '"both": "both",\n    "both, pairs shuffled": "shuffled",',
                '"both": "shuffled",\n    "both, pairs shuffled": "both",',
            ),
            "image to image: L1 and both exchanged": (
                '"L1 alone": "L1",\n    "adversary alone": "adversary",\n    "both": "both",',
                '"L1 alone": "both",\n    "adversary alone": "adversary",\n    "both": "L1",',
            ),
            "image to image: pictures in another order than their names": (
                "for k in range(len(sheet))], list(in_row))",
                "for k in range(len(sheet))], list(in_row)[::-1])",
            ),
            "D of pairs is shown the picture alone": (
                "(law_of_E.flatten(1)[:, None], law_of_G.flatten(1)[None])",
                "(law_of_E.sum(dim=2)[:, None], law_of_G.sum(dim=2)[None])",
            ),
            "an encoder that played, and one fitted after, exchanged": (
                '"BiGAN": "BiGAN",\n    "ALI": "ALI",\n    "BiGAN\'s G, encoder after": "BiGAN,',
                '"BiGAN\'s G, encoder after": "BiGAN",\n    "ALI": "ALI",\n    "BiGAN": "BiGAN,',
            ),
            "the control's codes under BiGAN's name": (
                '"BiGAN": "BiGAN",\n    "ALI"',
                '"BiGAN": "shuffled",\n    "ALI"',
            ),
            "reconstructions in another order than their names": (
                "/ 127.5 - 1 for name in drawn_rows]",
                "/ 127.5 - 1 for name in drawn_rows[::-1]]",
            ),
            "classifiers on digits: those that are told in their place": (
                'for row in ("auxiliary", "auxiliary, real and generated"))',
                'for row in ("concatenation", "projection"))',
            ),
            "the bound without its entropy": (
                "return H + (table * Q.log()).sum()",
                "return (table * Q.log()).sum()",
            ),
            "p(x|c) for the posterior": ("truth = table / p_x", "truth = table / p_c[:, None]"),
            "labels in another order than the pictures": (
                "images.flatten(1)[order], labels[order]",
                "images.flatten(1)[order], labels",
            ),
            "the class dropped in D": (
                "value(optimal_discriminator(a, b), a, b)",
                "value(optimal_discriminator(mixture(*p), mixture(*q)), a, b)",
            ),
            "the class dropped in G": (
                '"perfect": (normal(-1), normal(1)),',
                '"perfect": (mixture(*p), mixture(*p)),',
            ),
            "a search that starts at the answer": (
                "torch.tensor([0.8, -0.5]), torch.randn(200",
                "torch.tensor([0.8, -0.5]), torch.tensor([0.8, -0.5]) + 0 * torch.randn(200",
            ),
            "what a code leaves, for what it holds": (
                "return 1 - within / factor.var() * (len(code) - 1)",
                "return within / factor.var() * (len(code) - 1)",
            ),
            "the control under InfoGAN's name": (
                '"InfoGAN": best_code.loc["information"]',
                '"InfoGAN": best_code.loc["no information"]',
            ),
            "codes that each look at another's picture": (
                '"codes of other pictures": best_code.loc["shuffled"]',
                '"codes of other pictures": best_code.loc["no information"]',
            ),
            "the axes less InfoGAN, turned round": (
                "five(straight - infogan)",
                "five(infogan - straight)",
            ),
            "a search that climbs": (
                "autograd.grad(apart(z, gain).sum(), z)",
                "autograd.grad(-apart(z, gain).sum(), z)",
            ),
            "another start's path": (
                "walked = path[: steps + 1, start]",
                "walked = path[: steps + 1, -start - 1]",
            ),
            "the landscape turned": (".reshape(121, 121).T.numpy()", ".reshape(121, 121).numpy()"),
            "a walk along another code": ("row = walk[code - 1, :,", "row = walk[-code, :,"),
            "the factors' table: columns under each other's names": (
                "for f, i in intervals(part, known).items()",
                "for f, i in zip(known[::-1], intervals(part, known).values(), strict=True)",
            ),
            "nats: five times the best code's": (
                '["row", "run"])["value"].sum()',
                '["row", "run"])["value"].max() * 5',
            ),
        },
        also=("As ordered", "The game", "A classifier", "Digits, as", "From captions", "Codes"),
    ),
    "11": Chapter(
        {
            "the gap turned round": ("(q - (joint - evidence))", "((joint - evidence) - q)"),
            "a joint law without its prior": (
                "joint = likelihood + Normal(0.0, 1.0).log_prob(z)",
                "joint = likelihood + 0 * z",
            ),
            "every factor is the first": ("sum(logits[:, i].log", "sum(logits[:, 0].log"),
            "softmax over the wrong axis": (
                "[:, i].log_softmax(dim=1)[range(81)",
                "[:, i].log_softmax(dim=0)[range(81)",
            ),
            "the code of other spots": ("flow.inverse(spots)", "flow.inverse(-spots)"),
            "the mean noise of bells without noise": (
                "sigma * off / wide**2).sum(dim=0)  # E",
                "sigma * off / 0.5**2).sum(dim=0)  # E",
            ),
            "the mixed term's sign": (
                "guess**2 - 2 * guess * mean_noise",
                "guess**2 + 2 * guess * mean_noise",
            ),
            "a guess that forgets the noise": (
                "(1 + sigma**2).sqrt(), 0.25 + sigma**2",
                "(1 + sigma**2).sqrt(), 0.25 + 0 * sigma",
            ),
            "from data to noise": ("[(s - y) / (1 - t)", "[(y - s) / (1 - t)"),
            "the mean of lines, not weighed": (
                "(log_of.softmax(dim=0) * toward).sum(dim=0)",
                "toward.mean(dim=0)",
            ),
            "the regression's covariance": (
                "(time * 0.25 - (1 - time)) / spread",
                "(time * 0.25 + (1 - time)) / spread",
            ),
            "sheets in another order": (
                'zip(axes, "abcdefg", order, strict=True):\n    plot',
                'zip(axes, "abcdefg", order[::-1], strict=True):\n    plot',
            ),
            "quality against passes, reversed": (
                "ax.plot(steps, [f.estimate for f in found], mark",
                "ax.plot(steps, [f.estimate for f in found[::-1]], mark",
            ),
            "the points of real data": (
                "score = of(task, family, column)",
                'score = of(task, "real", column)',
            ),
            "GAN, VAE and flow at 200 passes": (
                'if family == "autoregressive" else 1',
                'if family == "autoregressive" else 200',
            ),
            "curves under each other's name": (
                "mark, color=colour, label=family)",
                "mark, color=colour, label=[f for f in LINES if f != family][0])",
            ),
            "bands of half the width": (
                "low, high = [f.low for f in found]",
                "low, high = [f.estimate for f in found]",
            ),
            "passes that are steps of training": (
                'xlabel="passes of the network for a sample")\n    ax.set_xticks',
                'xlabel="steps of training")\n    ax.set_xticks',
            ),
            "W1 under HQ": ('"HQ": ("high_quality", 3),', '"HQ": ("sliced", 3),'),
            "recall under precision": (
                '"precision": ("precision", 2)',
                '"precision": ("recall", 2)',
            ),
            "density under coverage": ('"coverage": ("coverage", 2)', '"coverage": ("density", 2)'),
            "intervals of half the width": (
                'way, part)\n    return f"{found.estimate:.{digits}f} ± {found.half:',
                'way, part)\n    return f"{found.estimate:.{digits}f} ± {found.half / 2:',
            ),
            "rows of half the width": (
                "found = mean_interval(values)\n    return",
                "found = mean_interval(values, 0.5)\n    return",
            ),
            "modes of half the divergence": (
                'exp(-rows["reverse_kl"])',
                'exp(-rows["reverse_kl"] / 2)',
            ),
            "twenty-five clusters counted as eight": (
                'MODES = {"ring": 8, "grid": 25}',
                'MODES = {"ring": 8, "grid": 8}',
            ),
            "the grid's HQ under the ring's": (
                '"ring: HQ": ("ring", "high_quality", 2)',
                '"ring: HQ": ("grid", "high_quality", 2)',
            ),
            "longer trainings that are none": (
                'four times the steps": (family, "four times")',
                'four times the steps": (family, "record")',
            ),
            "one distance for both": ('"kernel": ("kernel", 0),', '"kernel": ("frechet", 0),'),
            "half as long at the worst rate": (
                'return rows["price"].min()',
                'return rows["price"].max()',
            ),
            "one clock for all": (
                '"train, s": plain("ring", family, "seconds", 0)',
                '"train, s": plain("ring", "GAN", "seconds", 0)',
            ),
            "a mean that is called median": ("['copies'].median():.3f", "['copies'].mean():.3f"),
            "samples that are called means": (
                'return "means" if task in',
                'return "" if task in',
            ),
            "glyphs under others' names": (
                'zip(glyph_axes, ["real", *FAMILIES], strict=True):\n    x',
                'zip(glyph_axes, ["real", *FAMILIES[::-1]], strict=True):\n    x',
            ),
            "glyphs of the first way": (
                "glyphs|{family}|{usual('glyphs', family)}\"][:14]",
                "glyphs|{family}|{usual('ring', family)}\"][:14]",
            ),
            "digits' numbers for glyphs": (
                'name: cell("glyphs", family, column, digits, way, part)',
                'name: cell("digits", family, column, digits, way, part)',
            ),
            "the worst rate": ('part["price"].idxmin()', 'part["price"].idxmax()'),
            "before and after exchanged": (
                '("as above", "record"), (change, "control")',
                '("as above", "control"), (change, "record")',
            ),
            "HQ under W1, of what was changed": (
                '("HQ, or precision", "W₁, or Fréchet"), SCORES',
                '("W₁, or Fréchet", "HQ, or precision"), SCORES',
            ),
            "diffusion's gap is flow matching's": (
                'less("grid", "high_quality", "GAN, recipe", family)',
                'less("grid", "high_quality", "GAN, recipe", "flow matching")',
            ),
            "another family's seconds": (
                'price = {n: rows_of("digits", "flow matching", str(n))',
                'price = {n: rows_of("digits", "diffusion", str(n))',
            ),
            "the widget's digits of one family": (
                'sheet("digits", family, passes)[:24]',
                'sheet("digits", "diffusion", passes)[:24]',
            ),
            "the widget shows one number of passes": (
                'fake=sheet("ring", family, passes)',
                'fake=sheet("ring", family, "200")',
            ),
            "G's pair the wrong way round": (
                "lambda x, y: softplus_(y - x), lambda x, y: softplus_(x - y)",
                "lambda x, y: softplus_(y - x), lambda x, y: softplus_(y - x)",
            ),
            "R2 left out of the game": ("(r1_ + r2_) / 2 * psi_**2", "r1_ / 2 * psi_**2"),
            "pairs held in order": (
                "points.repeat_interleave(n), points.repeat(n) + theta",
                "points.repeat(n), points.repeat(n) + theta",
            ),
            "rows quoted at every rate": (
                't[t["quoted"] & (t["step"] == t["step"].max())]',
                't[t["step"] == t["step"].max()]',
            ),
            "a gain the other way": (
                "mean_interval(with_it - without_it, 1",
                "mean_interval(without_it - with_it, 1",
            ),
            "intervals that do not know of each other": (
                "1 - 0.05 / intervals)",
                "1 - 0.05)",
            ),
            "the reader's panels of one family": (
                "ax.set(title=family, xticks=[], yticks=[])\n        yield",
                'ax.set(title="GAN", xticks=[], yticks=[])\n        yield',
            ),
            "crosses on the data themselves": (
                "plot_samples(ax, real=known, fake=x, window",
                "plot_samples(ax, real=known, fake=known, window",
            ),
            "kernel estimates of the widest kernel": (
                "max(halves, key=halves.get)",
                "max(halves)",
            ),
            "data that are one Gaussian": (
                'judged = without["stacked"]["real"]',
                'judged = without["stacked"]["one Gaussian"]',
            ),
            "bars of half the width": (
                "ax.plot([i.low, i.estimate, i.high], [line] * 3",
                "ax.plot([i.estimate, i.estimate, i.high], [line] * 3",
            ),
            "the worse side to the right": (
                "if where[1] in LESS:",
                "if where[1] not in LESS:",
            ),
            "the filter of the shorter training": (
                'long_filtered = "longer, sharpened"',
                'long_filtered = "forger: sharpened"',
            ),
            "weights upside down": (
                "corrected(q_line, a.exp())",
                "corrected(q_line, (-a).exp())",
            ),
            "rejection without the largest logit": (
                "corrected(q_line, (a - top).clamp(max=0).exp())",
                "corrected(q_line, a.clamp(max=0).exp())",
            ),
            "the judge learns the labels turned": (
                "cross_entropy(D(real).squeeze(-1), D(fake).squeeze(-1))",
                "cross_entropy(D(fake).squeeze(-1), D(real).squeeze(-1))",
            ),
            "error and realism exchanged": (
                'ax.plot(part["unexplained"], part["frechet"], mark',
                'ax.plot(part["frechet"], part["unexplained"], mark',
            ),
            "one row less itself, the other way": (
                "by_row[row][name].to_numpy() - by_row[other][name].to_numpy()",
                "by_row[other][name].to_numpy() - by_row[row][name].to_numpy()",
            ),
        },
        also=("Whose are these", "A guess", "The same task"),
    ),
    "A1": Chapter(
        {
            "minimise in place of maximise": (
                "a * math.log(D) + b * math.log(1 - D)",
                "-a * math.log(D) - b * math.log(1 - D)",
            ),
            "G's cost with the other sign": (
                "torch.autograd.grad(-F.softplus(logit), logit)",
                "torch.autograd.grad(F.softplus(logit), logit)",
            ),
            "the input is not cut": ("D(fake.detach())", "D(fake)"),
            "an honest D turned round": ("both_logs(D_star)", "both_logs(1 - D_star)"),
            "the product for the logs": ("in (by_log, by_product)", "in (by_product, by_log)"),
            "a sum for the product": (
                "(a * thread + (1 - a) * none) * (1 -",
                "(a * thread + (1 - a) * none) + (1 -",
            ),
            "the loss of real samples": ("0.99]).neg().log1p()", "0.99]).log()"),
            "a third for a half": ("log()) / 2).sum() * dx)", "log()) / 3).sum() * dx)"),
            "two equal laws": ("jensen_shannon(p, law)", "jensen_shannon(p, p)"),
            "another function": ("weight.copy_(weight.flip(dim))", "weight.copy_(-weight)"),
            "players in turn": ('update="simultaneous"', 'update="alternating"'),
            "the two costs exchanged": (
                'for name in ("minimax", "non-saturating")',
                'for name in ("non-saturating", "minimax")',
            ),
            "a norm without its root": (
                ".norm(dim=1)\n\n\ndef weight",
                ".norm(dim=1) ** 2\n\n\ndef weight",
            ),
            "a norm that is not held": ("w.mul_(shrink.view", "w.mul_((shrink > 0).view"),
            "the wrong cost far away": ('at_distance(8.0, "non-sat', 'at_distance(1.0, "non-sat'),
            "a gap of samples alone": ("on[0] - on[1]", "1 - on[1]"),
            "half of the full charge": ("(dim=-1).mean().item()", "(dim=-1).mean().item() / 2"),
            "an epsilon outside": ("(a.sigmoid() + 1e-8).log()", "a.sigmoid().log()"),
            "slice in place of splice": (
                "del true_points[i : 2 * i + 1]",
                "del true_points[i:i]",
            ),
            "the term is not dropped": (
                "best_D(0.95, 1), best_D(0.95, 1 + 0.05)",
                "best_D(0.95, 1 + 0.05), best_D(0.95, 1)",
            ),
            "eight angles": ("torch.linspace(0, 2 * math.pi, 8)", "torch.linspace(0, 6, 8)"),
            "rand in place of randn": ("mix = torch.randn(", "mix = torch.rand("),
            "half of R1": ('PENALTIES["R1"]', 'PENALTIES["WGAN-GP"]'),
        },
        also=("Formulas", "What is optimal"),
    ),
    "A2": Chapter(
        {
            "samples under the name of data": (
                'band(axes[1], rows, "D_real", "-", REAL, "of data")',
                'band(axes[1], rows, "D_fake", "-", REAL, "of data")',
            ),
            "the players' gradients exchanged": (
                'rows, "G_gradient", "-.", FAKE, "G\'s")',
                'rows, "D_gradient", "-.", FAKE, "G\'s")',
            ),
            "clusters that are not a share": ('"clusters, of 8", scale=8)', '"clusters, of 8")'),
            "mended in place of ill": (
                "panel(axes, number, phase)",
                'panel(axes, number, "mended")',
            ),
            "patients in another order": (
                "first_ward = ward(range(1, 9))",
                "first_ward = ward(range(8, 0, -1))",
            ),
            "the wrong side counts": (
                "return (sign * (a[:, None] - b)).min()",
                "return (-sign * (a[:, None] - b)).min()",
            ),
            "one number for two faults": (
                "at_end(patient(cause), column) - (at_end",
                "at_end(patient(one), column) - (at_end",
            ),
            "mended is ill": ('at_end(number, "HQ", phase)', 'at_end(number, "HQ")'),
            "a band of half of the seeds": (
                "table.min(axis=1), table.max(axis=1)",
                "table.quantile(0.25, axis=1), table.quantile(0.75, axis=1)",
            ),
            "half of the data": ("plot_samples(axes[0], dots,", "plot_samples(axes[0], dots[::2],"),
            "symptoms before the end": (
                '(record["phase"] == "ill") & (record["step"] == last)]\nsymptoms',
                '(record["phase"] == "ill") & (record["step"] == 400)]\nsymptoms',
            ),
            "a new start from the mended": (
                'hq(n, "mended") - hq(0, "ill"), LEVEL',
                'hq(n, "mended") - hq(n, "ill"), LEVEL',
            ),
            "renewed and gone on exchanged": (
                'hq(n, "renewed") - hq(n, "mended"), LEVEL',
                'hq(n, "mended") - hq(n, "renewed"), LEVEL',
            ),
            "a circle that is too wide": (
                "angle.cos(), angle.sin()",
                "2 * angle.cos(), angle.sin()",
            ),
        },
        also=("A healthy", "Fifteen", "Tests to ask", "Telling"),
    ),
}


@pytest.fixture(scope="module", params=CHAPTERS)
def verdicts(request: pytest.FixtureRequest) -> tuple[dict[str, bool], list[str]]:
    (source,) = audit.build.sources([request.param])
    return audit.planted(source, *CHAPTERS[request.param])


def test_every_planted_fault_is_noticed(verdicts: tuple[dict[str, bool], list[str]]):
    noticed, failures = verdicts
    assert [name for name, seen in noticed.items() if not seen] == []
    assert failures == []
