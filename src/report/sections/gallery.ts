import { type Html, html } from '../html.js';
import { shown } from '../numbers.js';

/** One image of the gallery, ready to be shown. */
export interface GalleryItem {
  name: string;
  /** PNGs as data URLs: the image as it is, and its heatmap. */
  image: string;
  heatmap: string;
  height: number;
  width: number;
  /** SVG paths of the mask's outlines, one for each class in it. */
  contours: string[];
  /** What the image shows and what it was called, with scores. */
  caption: string;
  /** Dice of the map at the chosen threshold; null where there is nothing to overlap. */
  dice: number | null;
}

export interface GalleryGroup {
  title: string;
  /** How these were chosen. */
  note: string;
  items: GalleryItem[];
}

/** Pictures of single cases: image, and heatmap with the mask's outline. */
export function gallerySection(groups: readonly GalleryGroup[]): Html {
  const filled = groups.filter(({ items }) => items.length > 0);
  if (filled.length === 0) return html``;
  return html`<section id="gallery"><h2>Cases</h2>
<p class="soft">Left the image, right its map, each stretched to the full range of colours; the outline is the mask, which training never saw.</p>
${filled.map(
  ({ title, note, items }) =>
    html`<h3>${title}</h3><p class="soft">${note}</p><ul class="gallery">${items.map(itemOf)}</ul>`,
)}</section>`;
}

function itemOf(item: GalleryItem): Html {
  const { name, image, heatmap, height, width, contours, caption, dice } = item;
  const overlap = dice === null ? '' : `, Dice ${shown(dice)}`;
  // Two strokes, dark below light: the outline shows on every colour of the map.
  const outline =
    contours.length > 0 &&
    html`<svg viewBox="0 0 ${width} ${height}" preserveAspectRatio="none" aria-hidden="true">
${contours.map((d) => html`<path class="contour under" d="${d}"/><path class="contour" d="${d}"/>`)}</svg>`;
  return html`<li><div class="pair"><div><img src="${image}" width="${width}" height="${height}" alt="Image ${name}"></div>
<div><img src="${heatmap}" width="${width}" height="${height}" alt="Map of ${name}, ${caption}${overlap}">${outline}</div></div>
<p><b>${name}</b><br>${caption}${overlap}</p></li>`;
}
