"""The joint GAN and VAE: rows that neither of the two can explain."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from skad._columns import MixedColumns, categorical_mask
from skad._deep import BaseDeepDetector
from skad._nets._gan_vae import AdversarialNet, GANVAENet, NegativeELBO, Training
from skad._nets._mixed_likelihood import MixedLikelihood
from skad._tails import column_scale

TERMS = ("reconstruction", "kl", "discriminator", "features")
# A term that varies less than this over the training rows says nothing of them, and
# is not blown up to the size of the others. The first two are in nats.
_LEAST_SPREAD = {"reconstruction": 1, "kl": 1, "discriminator": 0.1, "features": 0.01}
# Numbers are known to within a tenth of a standard deviation, if no grid is wider.
_HALF_WIDTH = 0.05
# So many standard deviations are float32's to square.
_FARTHEST = 1e15
_MIN_LATENT_DIM, _MAX_LATENT_DIM = 4, 16


class GANVAE(TransformerMixin, BaseDeepDetector):
    """Detect anomalies with a variational autoencoder and a GAN trained as one.

    An encoder and a decoder learn what rows are made of; the decoder also generates
    rows from noise, which a discriminator learns to tell from real ones. A row is
    strange when it is improbable given its latent variables, when these are
    unusual themselves, or when it differs in the eyes of the discriminator from
    the row that was expected.

    Columns may be numbers of any scale and categories. Missing numbers are not
    accepted. For fewer than a few hundred rows take a simpler detector.

    Read more in the :ref:`User Guide <ganvae>`.

    Parameters
    ----------
    latent_dim : int or "auto", default="auto"
        Number of latent variables. "auto" is half the number of columns, but at
        least 4 if there are as many columns, and at most 16.

    hidden_sizes : tuple of int, default=(128, 64)
        Units of the hidden layers of encoder and discriminator; the decoder has
        them in reverse.

    share_decoder : bool, default=True
        Whether the decoder generates the rows for the discriminator, or a net of
        its own.

    constraint : {"spectral_norm", "gradient_penalty"}, default="spectral_norm"
        What keeps the discriminator from growing steep: layers that lengthen no
        vector, or a penalty on slopes other than 1.

    beta : float, default=1.0
        Weight of the KL divergence in training.

    beta_warmup : float, default=0.2
        Share of the training in which this weight grows from 0.

    adversarial_weight : float, default=0.1
        Weight in training of how well generated rows fool the discriminator.

    feature_weight : float, default=1.0
        Weight in training of the squared distance between the discriminator's mean
        features of real and of generated rows.

    trim : float, default=0.05
        Share of each batch, the rows of the largest loss, from which nothing is
        learned. It keeps anomalies in the training data from being learned, up to
        about this share of them.

    term_weights : tuple of 4 floats, default=(1.0, 1.0, 0.25, 0.25)
        Weights in the score of the four terms of `score_terms`: reconstruction, KL
        divergence, discriminator and features. With the last two at 0 there is no
        discriminator, and nothing but a variational autoencoder is trained.

    categorical_features : "from_dtype", array-like or None, default="from_dtype"
        Columns whose values have no order: those of a DataFrame that are not
        numbers or booleans, a mask, or names or indices. A value never seen in
        training has a probability of one over the number of training rows.

    max_epochs : int, default=50
        Number of passes over the training data.

    batch_size : int, default=256
        Rows per step of the training, and of scoring.

    lr : float, default=0.003
        Learning rate of both optimizers.

    warm_start : bool, default=False
        Whether `fit` continues the training of the last fit. Statistics of the
        input stay as they are, and so do the parameters of the nets and of their
        losses.

    n_iter_no_change : int, default=None
        Stop when the loss of the autoencoder on held-out rows has not improved for
        this many epochs, and keep the best weights. None: never.

    validation_fraction : float, default=0.1
        Share of the rows that is held out, if `n_iter_no_change` is given.

    device : str or torch.device, default="auto"
        Where to compute; "auto" takes a GPU if there is one.

    random_state : int, RandomState instance or None, default=None
        Controls the training; pass an int for reproducible results.

    verbose : int, default=0
        1 shows a progress bar, 2 a line per epoch.

    net_params : dict, default=None
        More parameters of the skorch net, such as ``callbacks``.

    contamination : float, default=0.1
        Share of anomalies in the training data, which sets the threshold.

    Attributes
    ----------
    net_ : skorch.NeuralNet
        The trained net.

    latent_dim_ : int
        Number of latent variables.

    n_iter_ : int
        Number of epochs.

    history_ : list of dict
        Losses and seconds of each epoch.

    offset_ : float
        Threshold: rows with a lower score are anomalies.

    n_features_in_ : int
        Number of features seen during fit.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during fit, if `X` has string names.

    See Also
    --------
    UnsupervisedRandomForest : Faster, and accepts missing values.
    skad.preprocessing.HistoryFeatures : Features of payments from those before.

    Notes
    -----
    The paper names the two losses and no sizes, weights or score. What is ours: the
    likelihood, trimming, the terms of the score and all sizes. The log-odds of a
    discriminator mean something only where real or generated rows lie; far from
    both they go either way, so that the term is their distance from the usual.

    References
    ----------
    .. [1] Tang, T. et al. (2025). "Application of Deep Generative Models for Anomaly
       Detection in Complex Financial Transactions". arXiv:2504.15491.

    .. [2] Larsen, A. B. L. et al. (2016). "Autoencoding beyond pixels using a
       learned similarity metric". International Conference on Machine Learning.

    Examples
    --------
    >>> import numpy as np
    >>> from skad import GANVAE
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(500, 1)) * [1, 2] + rng.normal(size=(500, 2)) / 10
    >>> detector = GANVAE(max_epochs=20, random_state=0).fit(X)
    >>> detector.predict([[1.0, 2.0], [1.0, -2.0]])
    array([ 1, -1])
    """

    _parameter_constraints: dict = {
        **BaseDeepDetector._parameter_constraints,
        "latent_dim": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "hidden_sizes": [tuple, list],
        "share_decoder": ["boolean"],
        "constraint": [StrOptions({"spectral_norm", "gradient_penalty"})],
        "beta": [Interval(Real, 0, None, closed="left")],
        "beta_warmup": [Interval(Real, 0, 1, closed="both")],
        "adversarial_weight": [Interval(Real, 0, None, closed="left")],
        "feature_weight": [Interval(Real, 0, None, closed="left")],
        "trim": [Interval(Real, 0, 0.5, closed="both")],
        "term_weights": [tuple, list],
        "categorical_features": ["array-like", StrOptions({"from_dtype"}), None],
    }

    _net_cls = AdversarialNet
    _criterion = NegativeELBO

    def __init__(
        self,
        *,
        latent_dim="auto",
        hidden_sizes=(128, 64),
        share_decoder=True,
        constraint="spectral_norm",
        beta=1.0,
        beta_warmup=0.2,
        adversarial_weight=0.1,
        feature_weight=1.0,
        trim=0.05,
        term_weights=(1.0, 1.0, 0.25, 0.25),
        categorical_features="from_dtype",
        max_epochs=50,
        batch_size=256,
        lr=0.003,
        warm_start=False,
        n_iter_no_change=None,
        validation_fraction=0.1,
        device="auto",
        random_state=None,
        verbose=0,
        net_params=None,
        contamination=0.1,
    ):
        self.latent_dim = latent_dim
        self.hidden_sizes = hidden_sizes
        self.share_decoder = share_decoder
        self.constraint = constraint
        self.beta = beta
        self.beta_warmup = beta_warmup
        self.adversarial_weight = adversarial_weight
        self.feature_weight = feature_weight
        self.trim = trim
        self.term_weights = term_weights
        self.categorical_features = categorical_features
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.warm_start = warm_start
        self.n_iter_no_change = n_iter_no_change
        self.validation_fraction = validation_fraction
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
        self.net_params = net_params
        self.contamination = contamination

    def score_terms(self, X):
        """Compute the parts that the score is a sum of.

        Each is standardised by its median and its interquartile range over the
        training rows; the first two, both in nats, share the wider of their ranges.
        Then it is bent by the inverse hyperbolic sine, which leaves small values as
        they are and takes the logarithm of large ones. The score is minus their sum
        weighted by `term_weights`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        terms : dict of str to ndarray of shape (n_samples,)
            The larger, the stranger: "reconstruction", the negative
            log-likelihood of the row given its latent variables; "kl", the
            divergence of these from the prior; "discriminator", the distance of
            the discriminator's log-odds from the usual; "features", the distance
            from the reconstructed row in the discriminator's features. The last
            two are missing if `term_weights` has no place for them.
        """
        check_is_fitted(self)
        return self._score_terms(self._rows(self._validate(X, reset=False)))

    def explain(self, X):
        """Compute the negative log-likelihood of every entry.

        They add up, over the columns, to what the term "reconstruction" is before
        it is standardised.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows to explain.

        Returns
        -------
        attributions : ndarray of shape (n_samples, n_features)
            In nats, and never negative: the larger, the more the entry makes the
            row an anomaly.
        """
        check_is_fitted(self)
        return self._column_nll(self._rows(self._validate(X, reset=False)))

    def transform(self, X):
        """Describe rows to another estimator, such as a classifier of frauds.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        features : ndarray of shape (n_samples, n_features_out)
            The latent variables, the negative log-likelihood of each entry and the
            terms of the score.
        """
        check_is_fitted(self)
        rows = self._rows(self._validate(X, reset=False))
        latent = self.net_.evaluate(rows, "latent")
        terms = np.column_stack(list(self._score_terms(rows).values()))
        return np.hstack([latent, self._column_nll(rows), terms])

    def get_feature_names_out(self, input_features=None):
        """Name the features that `transform` returns.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the columns; those seen in `fit` if None.

        Returns
        -------
        names : ndarray of shape (n_features_out,)
            ``latent0`` and so on, ``nll_`` with the name of each column, and the
            names of the terms.
        """
        check_is_fitted(self)
        columns = _check_feature_names_in(self, input_features)
        latent = [f"latent{i}" for i in range(self.latent_dim_)]
        nll = [f"nll_{name}" for name in columns]
        return np.array([*latent, *nll, *self._location], dtype=object)

    def _validate(self, X, *, reset):
        learns = reset and not self._goes_on()
        if learns:
            is_mixed = categorical_mask(X, self.categorical_features).any()
            self._columns = (
                MixedColumns(self.categorical_features) if is_mixed else None
            )
        if self._columns is None:
            return super()._validate(X, reset=reset)
        if not learns:
            matrix = self._columns.validate(self, X)
        else:
            matrix = self._columns.fit_validate(self, X)
        if np.isnan(matrix).any():
            raise ValueError(
                f"Input X contains NaN. {type(self).__name__} does not accept missing "
                "values; impute them, or give them a category of their own."
            )
        return matrix

    def _fit(self, X):
        self._check_weights_and_sizes()
        super()._fit(X)
        # Warm starts see other rows, and other nets.
        self._location, self._spread, self._usual_logit = {}, {}, 0.0
        terms = self.net_.evaluate(self._rows(X), "terms")
        if "discriminator" in terms:
            self._usual_logit = np.median(terms["discriminator"])
            terms["discriminator"] -= self._usual_logit
            terms["discriminator"] = np.abs(terms["discriminator"])
        for name, term in terms.items():
            low, self._location[name], high = np.quantile(term, [0.25, 0.5, 0.75])
            # As wide as a standard deviation of a normal distribution.
            self._spread[name] = max((high - low) / 1.349, _LEAST_SPREAD[name])
        # Parts of one bound, in nats: how training divided it says nothing of a row.
        shared = max(self._spread[name] for name in TERMS[:2])
        self._spread.update(dict.fromkeys(TERMS[:2], shared))

    def _check_weights_and_sizes(self):
        weights = self.term_weights
        if (
            len(weights) != len(TERMS)
            or not all(isinstance(w, Real) and 0 <= w < np.inf for w in weights)
            or not any(weights)
        ):
            raise ValueError(
                f"term_weights={weights!r} must be {len(TERMS)} numbers, for "
                f"{', '.join(TERMS)}; none may be negative, and one must not be 0."
            )
        sizes = self.hidden_sizes
        if not sizes or not all(isinstance(n, Integral) and n > 0 for n in sizes):
            raise ValueError(
                f"hidden_sizes={sizes!r} must be one or more positive integers."
            )

    def _prepare(self, X):
        n_features = X.shape[1]
        known = np.zeros(n_features, dtype=int)
        if self._columns is not None:
            known = np.maximum(self._columns.n_levels() - 1, 0)
        self._n_levels = tuple(known.tolist())
        self._numbers = np.flatnonzero(known == 0)
        self._scales = [column_scale(X[:, j]) for j in self._numbers]
        self.latent_dim_ = self.latent_dim
        if self.latent_dim == "auto":
            least = min(n_features, _MIN_LATENT_DIM)
            self.latent_dim_ = min(max(n_features // 2, least), _MAX_LATENT_DIM)

    def _net_input(self, rows):
        made = np.array(rows, dtype=np.float64)
        for j, scale in zip(self._numbers, self._scales, strict=True):
            made[:, j] = np.clip(scale(made[:, j]), -_FARTHEST, _FARTHEST)
        return made

    def _make_module(self, X):
        step = np.array([scale.step for scale in self._scales])
        half_width = np.maximum(step / 2, _HALF_WIDTH)
        likelihood = MixedLikelihood(
            self._n_levels,
            half_width,
            np.where(step / 2 > _HALF_WIDTH, step, 0),
            np.array([scale.origin for scale in self._scales]),
            1 / (len(X) + 1),
        )
        settings = Training(
            beta=self.beta,
            beta_warmup=self.beta_warmup,
            adversarial_weight=self.adversarial_weight,
            feature_weight=self.feature_weight,
            trim=self.trim,
            gradient_penalty=self.constraint == "gradient_penalty",
        )
        return GANVAENet(
            likelihood,
            latent_dim=self.latent_dim_,
            hidden_sizes=tuple(self.hidden_sizes),
            share_decoder=self.share_decoder,
            adversarial=any(self.term_weights[2:]),
            settings=settings,
        )

    def _score_samples(self, X):
        terms = self._score_terms(self._rows(X))
        weights = dict(zip(TERMS, self.term_weights, strict=True))
        return -sum(weights[name] * term for name, term in terms.items())

    def _score_terms(self, rows):
        terms = self.net_.evaluate(rows, "terms")
        if "discriminator" in terms:
            terms["discriminator"] = np.abs(terms["discriminator"] - self._usual_logit)
        # Far out, a term grows by its logarithm: none outvotes the others alone.
        return {
            name: np.arcsinh((term - self._location[name]) / self._spread[name])
            for name, term in terms.items()
        }

    def _column_nll(self, rows):
        return self.net_.evaluate(rows, "column_nll")
