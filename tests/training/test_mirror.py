"""What the mirrored view answers is what the network would answer for the mirror image, told in the picture's places."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from models.training.landmarks import MIRRORED  # noqa: E402
from models.training.network.detector import NARROW, Detector  # noqa: E402
from models.training.network.mirror import EDGES, TwoViews, mirrored  # noqa: E402


@pytest.fixture(scope="module")
def detector() -> Detector:
    """A network whose every part answers something, at both sides and all landmarks another thing."""
    torch.manual_seed(5)
    model = Detector().eval().requires_grad_(False)
    for head in model.heads:
        for end in (head.score, head.box, head.points):
            end.weight.normal_(std=0.2)
            end.bias.normal_()
    return model


def test_a_mirrored_backbone_sees_in_the_mirror_image_what_the_network_sees_in_the_picture(detector: Detector) -> None:
    picture = torch.randn(1, 3, 64, 256, generator=torch.Generator().manual_seed(1))
    # Cells stand on every eighth pixel from the first on, so that the mirror stands on pixel 128.
    image = torch.cat([picture[..., :1], picture[..., 1:].flip(-1)], dim=-1)
    cells, seen = detector.backbone(picture)[0], mirrored(detector).backbone(image)[0]
    inner = slice(8, 25)  # 64 px from the edges: beyond what a cell of stride 8 sees
    torch.testing.assert_close(seen[..., inner], cells[..., inner].flip(-1), rtol=1e-4, atol=1e-4)


def test_a_mirrored_head_tells_edges_and_landmarks_in_the_places_of_the_picture(detector: Detector) -> None:
    features = torch.randn(1, NARROW.neck, 6, 7, generator=torch.Generator().manual_seed(2))
    for head, twin in zip(detector.heads, mirrored(detector).heads, strict=True):
        told = [part.reshape(6, 7, 2, -1).flip(1) for part in head(features)]
        seen = [part.reshape(6, 7, 2, -1) for part in twin(features.flip(-1))]
        torch.testing.assert_close(seen[0], told[0], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(seen[1], told[1][..., EDGES], rtol=1e-4, atol=1e-4)
        points = told[2].reshape(6, 7, 2, 5, 2)[..., MIRRORED, :] * torch.tensor([-1.0, 1.0])
        torch.testing.assert_close(seen[2].reshape(points.shape), points, rtol=1e-4, atol=1e-4)


def test_the_mirror_of_the_mirror_is_the_network(detector: Detector) -> None:
    for value, again in zip(
        detector.state_dict().values(), mirrored(mirrored(detector)).state_dict().values(), strict=True
    ):
        assert torch.equal(value, again)


def test_two_views_answer_with_their_mean(detector: Detector) -> None:
    picture = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(3))
    answers = zip(TwoViews(detector)(picture), detector(picture), mirrored(detector)(picture), strict=True)
    for both, own, other in answers:
        for mean, one, two in zip(both, own, other, strict=True):
            torch.testing.assert_close(mean, (one + two) / 2, rtol=1e-4, atol=1e-4)
