"""Images and videos are read from folders, with their masks and labels."""

import av
import numpy as np
import pytest

from skad import MDDNet, MiddleFramePredictor
from skad.benchmark import compare, default_detectors, load_folder

RNG = np.random.default_rng(0)


def save(path, image):
    """Write a grey or coloured image, as few bytes as there are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = b"P5" if image.ndim == 2 else b"P6"
    head = b"%s %d %d 255 " % (kind, image.shape[1], image.shape[0])
    path.with_suffix(".pgm" if image.ndim == 2 else ".ppm").write_bytes(
        head + image.astype(np.uint8).tobytes()
    )


def images(n, *shape):
    return RNG.integers(0, 200, size=(n, *shape), dtype=np.uint8)


def category(folder, shape=(8, 6), n_good=3, suffix="_mask"):
    """Four images to learn, good ones to score, and two with each of two defects."""
    train, good = images(4, *shape), images(n_good, *shape)
    defects = {"crack": images(2, *shape), "hole": images(2, *shape)}
    for part, pictures in (("train/good", train), ("test/good", good)):
        for i, picture in enumerate(pictures):
            save(folder / part / f"{i}.png", picture)
    masks = [np.zeros((n_good, *shape[:2]), bool)]
    for name, pictures in defects.items():
        mask = np.zeros((2, *shape[:2]), bool)
        mask[0, 1:3, 2:4] = mask[1, 4:, :2] = True
        masks.append(mask)
        for i, picture in enumerate(pictures):
            # Numbers of which an order of text differs from one by value.
            save(folder / "test" / name / f"{8 + 2 * i}.png", picture)
            save(
                folder / "ground_truth" / name / f"{8 + 2 * i}{suffix}.png",
                mask[i] * 255,
            )
    scored = {"crack": defects["crack"], "good": good, "hole": defects["hole"]}
    masks = [masks[1], masks[0], masks[2]]
    labels = np.repeat([-1, 1, -1], [2, n_good, 2])
    return train, np.concatenate(list(scored.values())), labels, np.concatenate(masks)


@pytest.mark.parametrize("shape", [(8, 6), (8, 6, 3)])
@pytest.mark.parametrize("suffix", ["_mask", ""])
def test_images_come_with_labels_and_masks(tmp_path, shape, suffix):
    train, test, y, masks = category(tmp_path / "nut", shape, suffix=suffix)
    found = load_folder(tmp_path, kind="images")["nut"]
    np.testing.assert_array_equal(found.X_train, train)
    np.testing.assert_array_equal(found.X_test, test)
    np.testing.assert_array_equal(found.y_test, y)
    np.testing.assert_array_equal(found.masks, masks)
    assert found.fit_params == {}


def test_images_to_learn_may_be_in_the_folder_itself(tmp_path):
    train, *_ = category(tmp_path / "nut")
    for path in (tmp_path / "nut" / "train" / "good").iterdir():
        path.rename(tmp_path / "nut" / "train" / path.name)
    (tmp_path / "nut" / "train" / "good").rmdir()
    found = load_folder(tmp_path, kind="images")["nut"]
    np.testing.assert_array_equal(found.X_train, train)


def test_categories_in_one_folder_are_one_data_set(tmp_path):
    shape = (32, 32)
    parts = [
        category(tmp_path / "hardware" / name, shape, n)
        for name, n in (("bolt", 2), ("nut", 3))
    ]
    found = load_folder(tmp_path, kind="surfaces")["hardware"]
    for values, read in zip(
        zip(*parts, strict=True),
        (found.X_train, found.X_test, found.y_test, found.masks),
        strict=True,
    ):
        np.testing.assert_array_equal(read, np.concatenate(values))
    assert found.fit_params["y"].tolist() == ["bolt"] * 4 + ["nut"] * 4
    net = MDDNet(backbone_epochs=1, channels=(4, 8), image_size=32, max_epochs=1)
    baselines = default_detectors(["PCA"], kind="surfaces")
    comparison = compare(baselines | {"net": net}, {"a": found}, seeds=1)
    assert comparison.failures().empty
    assert comparison.scores("aupro").loc["a", "net"] >= 0


def test_images_without_masks_have_none(tmp_path):
    category(tmp_path / "nut")
    (tmp_path / "nut" / "ground_truth").rename(tmp_path / "elsewhere")
    assert load_folder(tmp_path, kind="images")["nut"].masks is None


def test_categories_never_seen_are_scored_after_others_with_their_defects(tmp_path):
    bolt = category(tmp_path / "mine" / "train" / "bolt")
    nut = category(tmp_path / "mine" / "test")
    found = load_folder(tmp_path, kind="zero-shot")["mine"]
    _, X, y, masks = bolt
    np.testing.assert_array_equal(found.X_train, X)
    np.testing.assert_array_equal(found.fit_params["y"], y)
    np.testing.assert_array_equal(found.fit_params["masks"], masks)
    _, X, y, masks = nut
    np.testing.assert_array_equal(found.X_test, X)
    np.testing.assert_array_equal(found.y_test, y)
    np.testing.assert_array_equal(found.masks, masks)


def test_unseen_categories_may_have_no_masks(tmp_path):
    for part in ("train", "test"):
        category(tmp_path / "mine" / part, (32, 32))
        remove("ground_truth")(tmp_path / "mine" / part)
    found = load_folder(tmp_path, kind="zero-shot")
    baselines = default_detectors(["PCA"], kind="zero-shot")
    comparison = compare(baselines, found, seeds=1)
    assert comparison.failures().empty
    assert comparison.measures() == ["auroc", "average_precision"]


def test_sizes_are_made_one(tmp_path):
    *_, masks = category(tmp_path / "both" / "bolt", (8, 6))
    category(tmp_path / "both" / "nut", (4, 12))
    with pytest.raises(ValueError, match=r"differ, \(4, 12\) and \(8, 6\); pass image"):
        load_folder(tmp_path, kind="surfaces")
    for size, shape in ((4, (4, 4)), ((4, 6), (4, 6))):
        found = load_folder(tmp_path, kind="surfaces", image_size=size)["both"]
        assert found.X_test.shape[1:] == found.masks.shape[1:] == shape
    # A pixel that stands for two counts if one of them does.
    halves = masks.reshape(-1, 4, 2, 6).mean(axis=2)
    np.testing.assert_array_equal(found.masks[: len(masks)], halves >= 0.5)


@pytest.mark.parametrize(
    "values",
    [
        [1, 1],
        [1, 255],
        [255, 255],
        [3, 1],
    ],
)
def test_a_mask_does_not_depend_on_the_others(tmp_path, values):
    *_, masks = category(tmp_path / "nut")
    for i, value in enumerate(values):
        path = tmp_path / "nut" / "ground_truth" / "hole" / f"{8 + 2 * i}_mask.png"
        save(path, masks[-2 + i] * value)
    found = load_folder(tmp_path, kind="images")["nut"]
    np.testing.assert_array_equal(found.masks, masks)


def test_a_thin_scratch_stays_when_masks_are_resized(tmp_path):
    category(tmp_path / "nut", (64, 64))
    scratch, blob = np.zeros((2, 64, 64), int)
    scratch[:, 30] = 255
    blob[10:40, 10:40] = 255
    for name, mask in (("8", scratch), ("10", blob)):
        save(tmp_path / "nut" / "ground_truth" / "hole" / f"{name}_mask.png", mask)
    masks = load_folder(tmp_path, kind="images", image_size=8)["nut"].masks
    assert masks[-2].sum() == 8


def test_files_beside_images_are_ignored(tmp_path):
    train, *_ = category(tmp_path / "nut")
    for part in ("", "train", "train/good", "test", "test/hole", "ground_truth/hole"):
        for name in ("Thumbs.db", ".DS_Store", "notes.txt"):
            (tmp_path / "nut" / part / name).write_text("nothing")
    found = load_folder(tmp_path, kind="images")["nut"]
    np.testing.assert_array_equal(found.X_train, train)


def test_grey_images_hold_no_memory_of_colours(tmp_path):
    category(tmp_path / "nut")
    assert load_folder(tmp_path, kind="images")["nut"].X_train.base is None


def video(folder, n_frames, shape=(5, 7)):
    frames = images(n_frames, *shape)
    for i, frame in enumerate(frames):
        save(folder / f"{i}.png", frame)
    return frames


def test_videos_come_with_a_label_for_each_frame(tmp_path):
    root = tmp_path / "street"
    train = [video(root / "train" / f"v{i}", n) for i, n in enumerate((9, 8))]
    test = [video(root / "test" / f"v{i}", n) for i, n in ((2, 7), (10, 6))]
    labels = [np.arange(7) > 4, np.arange(6) < 2]
    (root / "labels").mkdir()
    np.save(root / "labels" / "v2.npy", labels[0])
    np.savetxt(root / "labels" / "v10.txt", labels[1])
    found = load_folder(tmp_path, kind="videos")["street"]
    np.testing.assert_array_equal(found.X_train, np.concatenate(train))
    np.testing.assert_array_equal(found.X_test, np.concatenate(test))
    np.testing.assert_array_equal(found.y_test, np.concatenate(labels))
    assert found.fit_params["groups"].tolist() == [0] * 9 + [1] * 8
    assert found.score_params["groups"].tolist() == [0] * 7 + [1] * 6
    assert found.buffer == 10
    net = MiddleFramePredictor(channels=(4,), n_context=1, n_target=1, max_epochs=1)
    baselines = default_detectors(["KNN"], kind="videos")
    comparison = compare(baselines | {"net": net}, {"a": found}, seeds=1)
    assert comparison.failures().empty


def test_files_of_videos_are_read_and_others_ignored(tmp_path):
    root = tmp_path / "street"
    frames = video(root / "test" / "cam.1", 6, (16, 24))
    for part, name in (("train", "a.avi"), ("test", "b.MP4")):
        write_video(root / part / name, np.full((7, 16, 24), 90))
        (root / part / "README.txt").write_text("text\n" * 30)
    (root / "labels").mkdir()
    for name, labels in (("b", "0 0 0 0 0 1 1"), ("cam.1", "1 0 0 0 0 0")):
        (root / "labels" / f"{name}.txt").write_text(labels)
    (root / "labels" / "cam.txt").write_text("1 1 1 1 1 1")
    found = load_folder(tmp_path, kind="videos")["street"]
    assert found.X_train.shape == (7, 16, 24)
    np.testing.assert_allclose(found.X_test[:7].astype(int), 90, atol=3)
    np.testing.assert_array_equal(found.X_test[7:], frames)
    assert np.flatnonzero(found.y_test).tolist() == [5, 6, 7]


def write_video(path, frames):
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.height, stream.width = frames.shape[1:]
        stream.pix_fmt = "yuv420p"
        for frame in frames.astype(np.uint8):
            image = av.VideoFrame.from_ndarray(frame, format="gray")
            container.mux(stream.encode(image))
        container.mux(stream.encode())


def test_frames_that_lie_about_are_no_videos(tmp_path):
    root = tmp_path / "street"
    video(root / "train", 3)
    video(root / "test" / "v", 3)
    with pytest.raises(ValueError, match="train: has no videos; expected a folder of"):
        load_folder(tmp_path, kind="videos")


def test_two_videos_of_one_name_are_refused(tmp_path):
    root = tmp_path / "street"
    video(root / "train" / "v", 3)
    video(root / "test" / "v", 3)
    (root / "test" / "v.mp4").touch()
    with pytest.raises(ValueError, match=r"v\.mp4 and .*v have one name"):
        load_folder(tmp_path, kind="videos")


def remove(*names):
    def change(root):
        for name in names:
            for path in sorted(root.glob(f"{name}/**/*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
            (root / name).rmdir()

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (remove("train"), "train: is not a folder"),
        (remove("test/crack", "test/good", "test/hole"), "test: is empty"),
        (remove("ground_truth/hole"), "hole.*does not exist"),
        (
            lambda root: (root / "ground_truth/hole/8_mask.pgm").unlink(),
            "a mask for each image of .*; '8' is only in one of the folders",
        ),
        (
            lambda root: (root / "train/bad").mkdir(),
            r"train: holds \['bad', 'good'\]; expected images, or one folder 'good'",
        ),
        (
            lambda root: save(root / "ground_truth/hole/8.png", images(1, 8, 6)[0]),
            "several images have one name",
        ),
        (
            lambda root: save(root / "test/0.png", images(1, 8, 6)[0]),
            "test: expected a folder 'good' and .*, not images such as 0.pgm",
        ),
        (
            lambda root: save(root / "train/0.png", images(1, 8, 6)[0]),
            "train: expected a folder 'good' and .*, not images such as 0.pgm",
        ),
        (
            lambda root: (root / "test/hole/8.pgm").write_text("no image"),
            "8.pgm: cannot be read",
        ),
        (
            lambda root: save(root / "test/hole/8.png", images(1, 9, 9)[0]),
            "has height and width",
        ),
    ],
)
def test_a_bad_folder_of_images_says_what_is_wanted(tmp_path, change, message):
    category(tmp_path / "nut")
    change(tmp_path / "nut")
    with pytest.raises(ValueError, match=message) as caught:
        load_folder(tmp_path, kind="images")
    assert "nut" in str(caught.value)


def test_masks_of_some_categories_only_are_refused(tmp_path):
    for name in ("bolt", "nut"):
        category(tmp_path / "both" / name)
    remove("ground_truth")(tmp_path / "both" / "nut")
    with pytest.raises(ValueError, match="some categories have a folder ground_truth"):
        load_folder(tmp_path, kind="images")


def test_a_test_part_without_folders_of_defects_is_refused(tmp_path):
    category(tmp_path / "nut")
    remove("test/crack", "test/good", "test/hole")(tmp_path / "nut")
    save(tmp_path / "nut" / "test" / "0.png", images(1, 8, 6)[0])
    with pytest.raises(ValueError, match="expected a folder 'good' and one for each"):
        load_folder(tmp_path, kind="images")


def test_unseen_categories_without_a_test_part_are_refused(tmp_path):
    category(tmp_path / "mine" / "train")
    save(tmp_path / "mine" / "test" / "nut" / "0.png", images(1, 8, 6)[0])
    with pytest.raises(ValueError, match="nor a folder in it has a folder test"):
        load_folder(tmp_path, kind="zero-shot")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("v.mat", "0", r"v\.npy: missing; expected it, or v\.txt"),
        ("v.txt", "0 1", r"has shape \(2,\) for 3 frames"),
        ("v.txt", "0 1 2", "has values besides 1, for frames that are anomalous"),
        ("v.txt", "", r"has shape \(0,\) for 3 frames"),
        ("v.txt", "0 a 1", r"v\.txt: cannot be read"),
        ("v.npy", "0 1 0", r"v\.npy: cannot be read"),
    ],
)
def test_bad_labels_of_frames_are_named(tmp_path, name, content, message):
    root = tmp_path / "street"
    for part in ("train", "test"):
        video(root / part / "v", 3)
    (root / "labels").mkdir()
    (root / "labels" / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        load_folder(tmp_path, kind="videos")
