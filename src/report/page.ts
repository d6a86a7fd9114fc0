import type { Evaluation, PatientRow } from '../metrics/index.js';
import { type Html, html, raw } from './html.js';
import { SCRIPT } from './script.js';
import { classificationSection } from './sections/classification.js';
import { curvesSection, type MetricsLine } from './sections/curves.js';
import { factsSection, headSection, type RunFacts } from './sections/facts.js';
import { type GalleryGroup, gallerySection } from './sections/gallery.js';
import { localisationSection } from './sections/localisation.js';
import { patientsSection } from './sections/patients.js';
import { STYLE } from './style.js';

/** Everything that a report shows. */
export interface ReportContent {
  facts: RunFacts;
  configYaml: string;
  history: readonly MetricsLine[];
  evaluation: Evaluation;
  patients: readonly PatientRow[];
  gallery: readonly GalleryGroup[];
}

const LINKS = [
  ['classification', 'Classification'],
  ['localisation', 'Localisation'],
  ['gallery', 'Cases'],
  ['patients', 'Patients'],
  ['curves', 'Training'],
  ['run', 'Run'],
] as const;

/** One HTML file with all that it needs: no network, no fonts, no libraries. */
export function reportPage(content: ReportContent): string {
  const { facts, configYaml, history, evaluation, gallery, patients } = content;
  const sections: [id: string, section: Html][] = [
    ['classification', classificationSection(evaluation)],
    ['localisation', localisationSection(evaluation)],
    ['gallery', gallerySection(gallery)],
    ['patients', patientsSection(evaluation.patients === null ? [] : patients)],
    ['curves', curvesSection(history)],
    ['run', factsSection(facts, configYaml)],
  ];
  const there = new Set(sections.filter(([, { text }]) => text !== '').map(([id]) => id));
  const links = LINKS.filter(([id]) => there.has(id));
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${facts.dataset}, ${facts.backbone}: medical-afa report</title><style>${raw(STYLE)}</style></head>
<body><a class="skip" href="#classification">To the scores</a>
${headSection(facts, evaluation)}
<nav aria-label="Sections"><ul>${links.map(([id, title]) => html`<li><a href="#${id}">${title}</a></li>`)}</ul></nav>
<main>${sections.map(([, section]) => section)}</main>
<script>${raw(SCRIPT)}</script></body></html>
`.text;
}
