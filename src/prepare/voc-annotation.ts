/** PASCAL VOC's annotation files: which classes an image shows. */

import { parseXml, XmlElement } from '@rgrove/parse-xml';

/**
 * Names of the annotated objects, repeated as often as they occur. Objects marked `difficult` count: the class is in the
 * image, and label files of the field are made that way (PSA's `load_image_label_from_xml`, whose order of
 * entries the original's `cls_labels_onehot.npy` has). Names of an object's parts (head, hand, foot) do not.
 *
 * @throws Error that says what is wrong, with line and column where the XML is damaged
 */
export function objectNames(xml: string): string[] {
  const { root } = parseXml(xml);
  if (root?.name !== 'annotation') throw new Error(`root <${root?.name ?? ''}>, not <annotation>`);
  return elements(root, 'object').map((object) => {
    const name = elements(object, 'name')[0]?.text.trim();
    if (!name) throw new Error('an <object> without <name>');
    return name;
  });
}

function elements(parent: XmlElement, name: string): XmlElement[] {
  return parent.children.filter(
    (child): child is XmlElement => child instanceof XmlElement && child.name === name,
  );
}
