"""Exercises of lesson 9: where a ray meets the floor, a flat lamp, Russian roulette, a bounce with friction."""

import numpy as np

from vidgen_tf.exercises.checking import array_of, call, exercise


def _same(given: np.ndarray, value: np.ndarray) -> bool:
    return given.shape == np.shape(value) and np.allclose(given, value, rtol=1e-5, atol=1e-7, equal_nan=True)


def _hint(given: np.ndarray, hints: tuple, otherwise: str) -> str:
    return next((hint for value, hint in hints if _same(given, np.asarray(value))), otherwise)


@exercise("09.1")
def meets_floor(answer) -> str | None:
    """09.1: (origin, direction (n, 3), height) → distances (n,) to the plane y = height, infinity where it is not met."""
    dice = np.random.default_rng(91)
    for height in (0.0, -1.5):
        origin, direction = dice.uniform([-1, 1, -1], [1, 3, 1], (9, 3)), dice.standard_normal((9, 3))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        direction[0] = [1, 0, 0]  # along the floor
        origin[1], direction[1] = [0, height - 1, 0], [0, 1, 0]  # from below
        fall = (height - origin[:, 1]) / np.where(direction[:, 1] == 0, 1, direction[:, 1])
        right = np.where((direction[:, 1] != 0) & (fall > 0), fall, np.inf)
        given = array_of(answer, origin, direction, height)
        if given.shape != (9,):
            return f"for 9 rays it gives shape {given.shape}; give one distance for each ray, (9,)."
        if _same(given, right):
            continue
        level = direction[:, 1] == 0
        raw = np.where(level, np.inf, fall)
        plain = (height - origin[:, 1]) / direction[:, 1]
        ahead = np.where((direction[:, 1] < 0) & (fall > 0), fall, np.inf)
        hints = (
            (plain, "rays that run along the floor or away from it never meet it: give infinity"),
            (raw, "a negative distance lies behind the ray: give infinity"),
            (np.abs(plain), "what lies behind the ray is not met: give infinity, not its distance"),
            (-right, "the sign is turned: distances are above 0, and what is not met is at plus infinity"),
            (
                np.where(~level & (raw < 0), -raw, np.inf),
                "the sign of t is turned: it is height - origin_y, divided by direction_y",
            ),
            (np.where(np.isfinite(right), -right, np.inf), "the sign is turned: distances are above 0"),
            (
                np.where(np.isfinite(right), right, 0),
                "give infinity where nothing is met: 0 would be the nearest of all",
            ),
            (
                np.where(np.isfinite(right), right, np.nan),
                "give infinity where nothing is met: NaN is never the nearest",
            ),
            (
                np.where(np.isfinite(right), right, -1),
                "give infinity where nothing is met: -1 would be the nearest of all",
            ),
            (ahead, "from below the plane is met too: ask whether the distance is above 0, not whether the ray falls"),
            (
                np.where(right < np.inf, height - origin[:, 1], np.inf),
                "that is the way down; along the ray it is longer",
            ),
        )
        if height and _same(given, np.where((direction[:, 1] != 0) & (-origin[:, 1] / np.where(level, 1, direction[:, 1]) > 0),
                                            -origin[:, 1] / np.where(level, 1, direction[:, 1]), np.inf)):  # fmt: skip
            return f"with the floor at {height:g} it is wrong: where is the height? The plane is not always y = 0."
        hint = _hint(given, hints, "solve origin_y + t · direction_y = height for t, and take it where t > 0")
        return f"with the floor at {height:g} it is wrong: {hint}."
    return None


@exercise("09.2")
def lamp_light(answer) -> str | None:
    """09.2: (point, normal (3,), places (n, 3), lamp_normal (3,), area, radiance, color) → the light that is sent back."""
    dice = np.random.default_rng(92)
    point, normal = np.array([0.3, 0.0, -0.2]), np.array([0.0, 1.0, 0.0])
    lamp_normal = np.array([0.6, -0.8, 0.0])
    side, other = np.array([0.8, 0.6, 0.0]), np.array([0.0, 0.0, 1.0])
    for area, middle, radiance, color in (
        (1.0, [-1, 2, 0], 10.0, 1.0),
        (2.4, [-1.5, 1.5, 0.5], 4.0, 0.3),
        (2.0, [-1, 0, 0], 4.0, 0.5),
    ):
        spread = dice.uniform(-0.5, 0.5, (50, 2))
        places = np.array(middle) + np.sqrt(area) * (spread[:, :1] * side + spread[:, 1:] * other)
        way = places - point
        square = (way**2).sum(axis=1)
        into = way / np.sqrt(square)[:, None]
        cosine, lamp_cosine = into @ normal, -(into @ lamp_normal)
        above, front = np.maximum(cosine, 0), np.maximum(lamp_cosine, 0)
        scale = color / np.pi * radiance * area
        right = scale * np.mean(above * front / square)
        given = np.asarray(array_of(answer, point, normal, places, lamp_normal, area, radiance, color), float)
        if given.size != 1:
            return f"it gives shape {given.shape}; give one number, the mean over all places."
        given = given.reshape(())
        if _same(given, right):
            continue
        hints = (
            (scale * np.mean(front / square), "where is the cosine at the point? Light that comes in flat counts less"),
            (scale * np.mean(above / square), "where is the cosine at the lamp? Seen from the side it looks smaller"),
            (scale * np.mean(above * front), "divide by the square of the distance"),
            (scale * np.mean(above * front / np.sqrt(square)), "divide by the square of the distance, not the distance"),
            (right / area, "times the area: the density of the places is 1 / area"),
            (right / area * 2 * np.pi, "1 / 2π is the density of directions; here places are drawn, with density 1 / area"),
            (right / area**2, "the density is 1 / area, and one divides by it: times the area"),
            (right * np.pi, "diffuse is color / π"),
            (right * len(places), "take the mean over the places, not the sum"),
            (right / color, "where is the color?"),
            (right / radiance, "where is the radiance of the lamp?"),
            (scale * np.mean(cosine * lamp_cosine / square), "what lies below the ground or behind the lamp sends nothing: cut cosines at 0"),
            (scale * np.mean(np.abs(cosine * lamp_cosine) / square), "cut negative cosines at 0, do not turn their sign"),
            (scale * np.mean(np.maximum(cosine * lamp_cosine, 0) / square), "cut each cosine at 0 by itself: two negative ones make a positive"),
            (scale * np.mean(above * np.maximum(-lamp_cosine, 0) / square), "the way goes to the lamp, its normal away from it: turn the sign"),
            (scale * np.mean(above * front / square**2 * square ** 0.5) , "the directions must have length 1 before a cosine is taken"),
            (scale * np.mean(np.maximum(way @ normal, 0) * np.maximum(-(way @ lamp_normal), 0) / square), "make the directions of length 1 before you take cosines"),
        )  # fmt: skip
        hint = _hint(given, hints, "mean of color/π · radiance · cosine · lamp cosine / distance², times the area")
        return f"for a lamp of {area:g} m² at {middle} it is wrong: {hint}."
    return None


@exercise("09.3")
def roulette(answer) -> str | None:
    """09.3: (weight (n, 3), dice (n,), most) → weights (n, 3) after Russian roulette."""
    generator = np.random.default_rng(93)
    for most in (0.95, 0.5):
        weight, dice = generator.uniform(0, 1, (6, 3)) * generator.uniform(0, 1.4, (6, 1)), generator.uniform(0, 1, 6)
        weight[0], dice[0] = 0, 0.5  # dead already
        weight[1], dice[1] = [1.6, 0.2, 0.1], 0.97  # brighter than 1, and unlucky
        weight[2], dice[2] = [0.7, 0.2, 0.2], 0.2
        weight[3], dice[3] = [0.2, 0.2, 0.9], 0.6
        chance = np.minimum(weight.max(axis=1), most)
        lives = dice < chance
        scaled = weight / np.where(chance > 0, chance, 1)[:, None]
        right, given = np.where(lives[:, None], scaled, 0), array_of(answer, weight, dice, most)
        if given.shape != weight.shape:
            return f"for weights of shape {weight.shape} it gives shape {given.shape}; give the same shape, ended paths as 0."
        if _same(given, right):
            continue
        mean, capped = weight.mean(axis=1), weight.max(axis=1)
        each = np.minimum(weight, most)
        by_mean, least = np.minimum(mean, most), np.minimum(weight.min(axis=1), most)
        part = lambda c, weight=weight, dice=dice: np.where(  # noqa: E731
            (dice < c)[:, None], weight / np.where(c > 0, c, 1)[:, None], 0
        )
        hints = (
            (np.where(lives[:, None], weight, 0), "those that go on must count more, or light is lost: divide by the chance"),
            (np.where(lives[:, None], weight * chance[:, None], 0), "divide by the chance; times it loses light twice"),
            (np.where(lives[:, None], weight / np.where(chance < 1, 1 - chance, 1)[:, None], 0), "divide by the chance to go on, not to end"),
            (np.where(~lives[:, None], scaled, 0), "they go on where the die is below the chance; you end those"),
            (scaled, "nobody ends: set the weight to 0 where the die is not below the chance"),
            (np.where(dice[:, None] < each, weight / np.where(each > 0, each, 1), 0), "one path, one chance: its colours go on together, with the largest of them"),
            (part(by_mean), "the chance is the largest of the three colours, not their mean"),
            (part(least), "the chance is the largest of the three colours, not the smallest"),
            (part(capped), "the chance is at most `most`: a path that never ends goes on for ever between mirrors"),
            (np.where((dice < np.minimum(capped, 1))[:, None], weight / np.where(capped > 0, np.minimum(capped, 1), 1)[:, None], 0), "the chance is at most `most`, not 1"),
            (np.where(lives[:, None], weight / most, 0), "divide by the chance of this path, which is not always `most`"),
            (np.where((dice < most)[:, None], weight / most, 0), "the chance of dark paths is smaller: the largest colour, at most `most`"),
            (part(np.maximum(capped, most)), "at most `most`: take the smaller of the two"),
        )  # fmt: skip
        if not np.isfinite(given).all():
            return f"with most = {most:g} there is NaN or infinity: a path of weight 0 has the chance 0; it ends, so do not divide there."
        hint = _hint(
            given,
            hints,
            "chance = the largest colour, at most `most`; weight / chance where the die is below it, else 0",
        )
        return f"with most = {most:g} it is wrong: {hint}."
    return None


@exercise("09.4")
def bounce(answer) -> str | None:
    """09.4: (velocity, spin, normal (3,), radius, restitution, friction) → (velocity, spin) after a ball has met a wall."""
    for velocity, spin, radius, restitution, friction in (
        ([1.0, -2.0, 0.5], [0.0, 0.0, 0.0], 0.5, 0.8, 0.05),
        ([1.0, -2.0, 0.0], [0.0, 3.0, 1.0], 0.4, 0.5, 5.0),
        ([1.0, -2.0, 0.5], [4.0, 0.0, 6.0], 0.5, 1.0, 0.2),
        ([1.0, 2.0, 0.5], [4.0, 0.0, 6.0], 0.5, 1.0, 0.2),
        ([0.0, -2.0, 0.0], [0.0, 2.0, 0.0], 0.3, 0.6, 0.4),
    ):
        velocity, spin, normal = np.array(velocity), np.array(spin), np.array([0.0, 1.0, 0.0])
        result = call(answer, velocity, spin, normal, radius, restitution, friction)
        if isinstance(result, str) or np.shape(result) != (2, 3):
            return f"{np.shape(result)} came as the shape, but two vectors (velocity, spin) were asked for."
        given = array_of(lambda result=result: result)
        right = _bounced(velocity, spin, normal, radius, restitution, friction)
        if _same(given, right):
            continue
        if not np.isfinite(given).all():
            return "there is NaN or infinity: where the point of contact does not slip, 0 is divided by 0; there is no friction then."
        if velocity[1] > 0:
            return "a ball that is already leaving the wall was hit: where velocity · normal is not below 0 nothing happens."
        hints = (
            (_bounced(velocity, spin, normal, radius, restitution, 0), "nothing rubs: where is the friction?"),
            (_bounced(velocity, spin, normal, radius, restitution, friction, most=np.inf), "friction stops the slip only if it is strong enough: at most friction · normal impulse"),
            (_bounced(velocity, spin, normal, radius, restitution, friction, ease=1.0), "stopping the slip takes 2/7 of it: the ball also begins to spin, which helps"),
            (_bounced(velocity, spin, normal, radius, restitution, friction, turns=0.0), "the surface of a spinning ball moves too: slip = velocity along the wall + spin × arm"),
            (_bounced(velocity, spin, normal, radius, restitution, friction, across=1.0), "only what goes along the wall slips: take velocity + approach · normal, not the whole velocity"),
            (_bounced(velocity, 0 * spin, normal, radius, restitution, friction), "the spin that the ball came with is left out, in the slip and in the answer"),
            (_bounced(velocity, spin, normal, radius, restitution, friction, least=np.inf), "friction never does more than stop the slip: take the smaller of the two"),
            (_bounced(velocity, spin, normal, radius, 0 * restitution, friction), "where is the restitution? The normal impulse is (1 + restitution) · approach"),
            (_bounced(velocity, spin, normal, radius, restitution - 1, friction), "the normal impulse is (1 + restitution) · approach: one part to stop, one to send back"),
            (_bounced(velocity, spin, normal, radius, restitution, -friction), "friction pulls against the slip, not along it"),
        )  # fmt: skip
        for value, hint in hints:
            if _same(given, value):
                return f"with restitution {restitution:g} and friction {friction:g} it is wrong: {hint}."
        if _same(given[0], right[0]):
            hint = "the velocity is right, the spin is not: it changes by arm × impulse / (2/5 · radius²), arm = -radius · normal"
            if _same(given[1], spin):
                hint = "the velocity is right, but friction must also change the spin"
        elif _same(given[0] @ normal, right[0] @ normal):
            hint = "across the wall it is right, along it not: slip = velocity along the wall + spin × arm; 2/7 of it, or friction · normal impulse"
        else:
            hint = "across the wall: add (1 + restitution) · approach times the normal"
        return f"with restitution {restitution:g} and friction {friction:g} it is wrong: {hint}."
    return None


def _bounced(
    velocity, spin, normal, radius, restitution, friction, most=None, ease=2 / 7, least=None, turns=1.0, across=0.0
) -> np.ndarray:
    """Velocity and spin (2, 3) after a ball of mass 1 has met a wall; the last five change one step, for hints."""
    approach = -velocity @ normal
    if approach <= 0:
        return np.stack([velocity, spin])
    strength, arm = (1 + restitution) * approach, -radius * normal
    slip = velocity + (1 - across) * approach * normal + turns * np.cross(spin, arm)
    speed = np.linalg.norm(slip)
    rub = min(friction * strength if most is None else most, ease * speed if least is None else least)
    impulse = strength * normal - (rub / speed * slip if speed > 1e-12 else 0)
    return np.stack([velocity + impulse, spin + np.cross(arm, impulse) / (0.4 * radius**2)])
