"""CLIPs of Hugging Face, with texts that are given as vectors of tokens."""

import torch
from torch import nn


class HuggingFaceCLIP(nn.Module):
    """CLIP of transformers, as :class:`skad.GenCLIP` takes it.

    Only needed for a model that is in memory: a directory or a name is given to
    `GenCLIP` as such.

    Parameters
    ----------
    model : transformers.CLIPModel
        The model.

    tokenizer : callable
        What turns texts into ids, as the tokenizers of transformers do.

    mean : tuple of three floats, default=None
        What is subtracted from the colours of images, of which white is 1 and black 0.
        If None, that of the CLIPs that OpenAI published.

    std : tuple of three floats, default=None
        What they are divided by afterwards; the same.

    Raises
    ------
    TypeError
        If the tokenizer cannot be called as one of transformers.

    ValueError
        If it does not tell words apart.

    Examples
    --------
    A model of random weights, and a tokenizer that reads eight letters; those of a
    CLIP come from its directory by ``from_pretrained``.

    >>> import torch
    >>> from skad.vision import HuggingFaceCLIP
    >>> from transformers import CLIPConfig, CLIPModel
    >>> def tokenizer(texts, **options):
    ...     ids = [[1, *text.encode()[:8].ljust(8), 2] for text in texts]
    ...     ids = torch.tensor(ids)
    ...     return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    >>> sizes = {
    ...     "hidden_size": 16,
    ...     "intermediate_size": 16,
    ...     "num_attention_heads": 2,
    ...     "num_hidden_layers": 2,
    ... }
    >>> config = CLIPConfig(
    ...     text_config={**sizes, "vocab_size": 128},
    ...     vision_config={**sizes, "image_size": 16, "patch_size": 8},
    ...     projection_dim=8,
    ... )
    >>> clip = HuggingFaceCLIP(CLIPModel(config), tokenizer)
    >>> clip.n_layers, clip.context
    (2, 77)
    """

    def __init__(self, model, tokenizer, *, mean=None, std=None):
        super().__init__()
        self.model, self.tokenizer = model, tokenizer
        try:
            good, damaged = self.tokenize(["good", "damaged"])[0].tolist()
        except (TypeError, KeyError) as error:
            raise TypeError(
                f"tokenizer is {type(tokenizer).__name__}, which cannot be called as "
                f"the tokenizer of a CLIP: {error}."
            ) from error
        if good == damaged:
            # As a tokenizer without its files does, of which nothing else tells.
            raise ValueError("the tokenizer reads 'good' and 'damaged' alike.")
        self.mean, self.std = mean, std
        vision = model.config.vision_config
        self.image_size, self.patch_size = vision.image_size, vision.patch_size
        self.n_layers = vision.num_hidden_layers
        self.context = model.config.text_config.max_position_embeddings

    @property
    def logit_scale(self):
        """What cosines are multiplied with to tell captions apart."""
        return self.model.logit_scale.exp().item()

    def encode_image(self, images, layers):
        """Return embeddings of images, and the tokens of some layers.

        Parameters
        ----------
        images : tensor of shape (n_samples, 3, height, width)
            Images, normalised.

        layers : sequence of int
            The layers, counted from 1.

        Returns
        -------
        embeddings : tensor of shape (n_samples, n_dims)
            The images in the space that they share with texts.

        tokens : list of tensor of shape (n_samples, 1 + n_patches, width)
            What each layer gives.
        """
        output = self.model.vision_model(
            pixel_values=images,
            output_hidden_states=True,
            interpolate_pos_encoding=True,
        )
        tokens = [output.hidden_states[layer] for layer in layers]
        # The model normalises the token of the image itself, but not its patches.
        return self.model.visual_projection(output.pooler_output), tokens

    def project(self, tokens):
        """Return tokens of the last layer in the space that is shared with texts.

        Parameters
        ----------
        tokens : tensor of shape (n_samples, n_tokens, width)
            The tokens.

        Returns
        -------
        tokens : tensor of shape (n_samples, n_tokens, n_dims)
            The same in the other space.
        """
        normalised = self.model.vision_model.post_layernorm(tokens)
        return self.model.visual_projection(normalised)

    def tokenize(self, texts):
        """Return the ids of words, and where texts end.

        Parameters
        ----------
        texts : list of str
            The texts.

        Returns
        -------
        ids : tensor of shape (n_texts, length)
            The ids.

        ends : tensor of shape (n_texts,)
            The places of the tokens that end texts.
        """
        found = self.tokenizer(
            texts, padding=True, padding_side="right", return_tensors="pt"
        )
        # What pads texts may be what ends them: the last token of each counts.
        return found["input_ids"], found["attention_mask"].sum(1) - 1

    def embed_tokens(self, ids):
        """Return the vectors of tokens.

        Parameters
        ----------
        ids : tensor of shape (n_texts, length)
            The ids.

        Returns
        -------
        embeddings : tensor of shape (n_texts, length, text_width)
            The vectors, without those of places.
        """
        return self.model.text_model.embeddings.token_embedding(ids)

    def encode_text(self, embeddings, ends):
        """Return texts, given the vectors of their tokens, in the shared space.

        Parameters
        ----------
        embeddings : tensor of shape (n_texts, length, text_width)
            The vectors.

        ends : tensor of shape (n_texts,)
            The places of the tokens that end texts.

        Returns
        -------
        embeddings : tensor of shape (n_texts, n_dims)
            The texts.
        """
        text = self.model.text_model
        states = text.embeddings(inputs_embeds=embeddings)
        length = states.shape[1]
        mask = states.new_full((length, length), torch.finfo(states.dtype).min).triu(1)
        states = text.encoder(
            inputs_embeds=states,
            attention_mask=mask.expand(len(states), 1, -1, -1),
            is_causal=False,
        ).last_hidden_state
        last = states[torch.arange(len(states), device=states.device), ends]
        return self.model.text_projection(text.final_layer_norm(last))
